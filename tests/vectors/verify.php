<?php

/** The callback is not genuine: answer 401. */
class CallbackRefused extends RuntimeException {}

/**
 * Throws CallbackRefused unless one of the secrets signed this body, within 300 s of now.
 *
 * @param string[] $secrets
 * @param array<string, string> $headers by lower-case names: array_change_key_case(getallheaders())
 * @param string $body the raw bytes, as they came: file_get_contents('php://input')
 * @param int $now Unix seconds: time()
 */
function verify_callback(array $secrets, array $headers, string $body, int $now): void
{
    $timestamp = $headers['x-sendpromptly-timestamp'] ?? null;
    $nonce = $headers['x-sendpromptly-nonce'] ?? null;
    $signature = $headers['x-sendpromptly-signature'] ?? null;
    if ($timestamp === null || $nonce === null || $signature === null) {
        throw new CallbackRefused('missing_header');
    }
    if (!preg_match('/\A[0-9]{1,20}\z/', $timestamp) || !preg_match('/\A[0-9a-f]{32}\z/', $nonce)) {
        throw new CallbackRefused('malformed_header');
    }
    $candidates = [];
    $parts = explode(',', $signature);
    foreach ($parts as $part) {
        $part = trim($part, " \t");
        [$scheme, $digits] = str_contains($part, '=') ? explode('=', $part, 2) : ['v1', $part];
        if ($scheme === 'v1' && preg_match('/\A[0-9a-f]{64}\z/', $digits)) {
            $candidates[] = hex2bin($digits);
        } elseif ($scheme === '' || $scheme === 'v1') {
            throw new CallbackRefused('malformed_header');
        }
    }
    if (count($parts) > 16) {
        throw new CallbackRefused('malformed_header');
    }
    $age = $now - (int) $timestamp;
    if ($age > 300) {
        throw new CallbackRefused('stale');
    }
    if ($age < -300) {
        throw new CallbackRefused('from_future');
    }
    $genuine = false;
    foreach ($secrets as $secret) {
        $expected = hash_hmac('sha256', "$timestamp.$nonce.$body", $secret, true);
        foreach ($candidates as $candidate) {
            $genuine = hash_equals($expected, $candidate) || $genuine;
        }
    }
    if (!$genuine) {
        throw new CallbackRefused('wrong_signature');
    }
}

// What follows runs the vectors: php verify.php callbacks.json

function outcome(array $row): string
{
    $headers = [];
    foreach ($row['headers'] as [$name, $value]) { // one that stands twice is joined, as servers do
        $name = strtolower($name);
        $headers[$name] = isset($headers[$name]) ? "$headers[$name], $value" : $value;
    }
    try {
        verify_callback($row['secrets'], $headers, hex2bin($row['body_hex']), $row['now']);
        return 'verified';
    } catch (CallbackRefused $refusal) {
        return $refusal->getMessage();
    }
}

if (realpath($argv[0]) === __FILE__) {
    $rows = json_decode(file_get_contents($argv[1]), true, flags: JSON_THROW_ON_ERROR)['callbacks'];
    $failures = array_filter($rows, fn (array $row) => outcome($row) !== $row['expected']);
    foreach ($failures as $row) {
        echo "{$row['name']}: " . outcome($row) . " where {$row['expected']} is expected\n";
    }
    echo count($rows) . ' callbacks, ' . count($failures) . " failures\n";
    exit($failures || !$rows ? 1 : 0);
}
