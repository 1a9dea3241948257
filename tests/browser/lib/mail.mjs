// The mailbox of a person: what a server without SMTP has written for them.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from './wait.mjs';

/** Waits for a message to this address about these words, and gives the path that its link leads to. */
export async function linkMailedTo(directory, address, words) {
  const text = await eventually(`a mail to ${address} about "${words}"`, () =>
    messages(directory)
      .filter((raw) => header(raw, 'To').includes(address) && header(raw, 'Subject').includes(words))
      .map(bodyOf)
      .at(-1),
  );
  const link = text.match(/https?:\/\/\S+/);
  if (link === null) {
    throw new Error(`no link in the mail: ${text}`);
  }
  const { pathname, search, hash } = new URL(link[0]);
  return pathname + search + hash;
}

function messages(directory) {
  if (!existsSync(directory)) {
    return [];
  }
  const names = readdirSync(directory).filter((name) => name.endsWith('.eml'));
  return names.sort().map((name) => readFileSync(join(directory, name), 'utf8').replaceAll('\r\n', '\n'));
}

function header(raw, name) {
  const [head] = raw.split('\n\n', 1);
  const line = head.replaceAll(/\n[ \t]/g, ' ').split('\n').find((line) => line.startsWith(`${name}:`));
  return line?.slice(name.length + 1).trim() ?? '';
}

/** The text of a message of one part, as it was before it was packed for the way. */
function bodyOf(raw) {
  const body = raw.slice(raw.indexOf('\n\n') + 2);
  switch (header(raw, 'Content-Transfer-Encoding').toLowerCase()) {
    case 'quoted-printable': {
      const bytes = body
        .replaceAll('=\n', '')
        .replaceAll(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
      return Buffer.from(bytes, 'latin1').toString('utf8');
    }
    case 'base64':
      return Buffer.from(body, 'base64').toString('utf8');
    default:
      return body;
  }
}
