<?php

/** The callback is not genuine: answer 401. */
class CallbackRefused extends RuntimeException {}

/**
 * Throws CallbackRefused unless one of the secrets signed this body, within 300 s of now; and InvalidArgumentException,
 * which is no 401, where there is no secret or one of them is none: with an empty one anybody could sign.
 *
 * @param string[] $secrets each as it was shown, with its spsec_
 * @param array<string, string> $headers by lower-case names: array_change_key_case(getallheaders())
 * @param string $body the raw bytes, as they came: file_get_contents('php://input')
 * @param int $now Unix seconds: time()
 */
function verify_callback(array $secrets, array $headers, string $body, int $now): void
{
    $good = preg_grep('/\Aspsec_[0-9A-Za-z]{32,}\z/', $secrets);
    if (!$secrets || count($good) < count($secrets)) {
        throw new InvalidArgumentException(
            'a signing secret is missing, or is not spsec_ and at least 32 letters and digits'
        );
    }
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
    } catch (InvalidArgumentException) {
        return 'wrong_secrets';
    }
}

if (realpath($argv[0]) === __FILE__) {
    $rows = json_decode(file_get_contents($argv[1]), true, flags: JSON_THROW_ON_ERROR)['callbacks'];
    $empty = current(array_filter($rows, fn (array $row) => end($row['secrets']) === ''));
    $secrets = [$empty['secrets'][0], getenv('NO_SUCH_VARIABLE')]; // false
    $rows[] = ['name' => 'a secret that is not set', 'secrets' => $secrets] + $empty;
    $failures = array_filter($rows, fn (array $row) => outcome($row) !== $row['expected']);
    foreach ($failures as $row) {
        echo "{$row['name']}: " . outcome($row) . " where {$row['expected']} is expected\n";
    }
    echo count($rows) . ' callbacks, ' . count($failures) . " failures\n";
    exit($failures || !$rows ? 1 : 0);
}
