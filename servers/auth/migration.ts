import { ToolError } from '../../kit/tool.ts';
import { base32, type Enrolled } from './enrol-uri.ts';

/** One field of a protocol buffer: its number, and a number or bytes (protobuf.dev/programming-guides/encoding). */
interface Field {
  number: number;
  value: number;
  bytes: Buffer;
}

const broken = () =>
  new ToolError('This export of Google Authenticator cannot be read. Scan or copy it again, whole.');

/**
 * The entries in an export of Google Authenticator (`otpauth-migration://offline?data=…`): its message is not published;
 * field numbers as every reader of it uses them (parameters 1: secret 1, name 2, issuer 3, algorithm 4, digits 5, type 6,
 * counter 7).
 */
export function fromMigration(uri: string): Enrolled[] {
  const data = new URL(uri).searchParams.get('data') ?? '';
  // A plus sign of base64 is a space in a query.
  const fields = read(Buffer.from(data.replaceAll(' ', '+'), 'base64'));
  const found = fields.filter(({ number }) => number === 1).map(({ bytes }) => entry(read(bytes)));
  if (found.length === 0) throw broken();
  return found;
}

function entry(fields: Field[]): Enrolled {
  const get = (number: number) => fields.findLast((field) => field.number === number);
  const text = (number: number) => get(number)?.bytes.toString('utf8') ?? '';
  const algorithm = (['sha1', 'sha1', 'sha256', 'sha512'] as const)[get(4)?.value ?? 0];
  if (!algorithm)
    throw new ToolError('An entry of this export uses MD5, which no service asks for any more.');
  const label = text(2);
  const account = label.includes(':') ? label.slice(label.indexOf(':') + 1).trim() : label;
  const secret = get(1)?.bytes ?? Buffer.alloc(0);
  if (secret.length === 0) throw broken();
  return {
    type: get(6)?.value === 1 ? 'hotp' : 'totp',
    secret: base32(secret),
    algorithm,
    digits: get(5)?.value === 2 ? 8 : 6,
    period: 30,
    counter: get(7)?.value ?? 0,
    steam: false,
    issuer: text(3),
    account,
  };
}

function read(bytes: Buffer): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = () => {
    let value = 0;
    // Ten bytes for a negative one, as every second export's batch id is.
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined) throw broken();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw broken();
  };
  while (at < bytes.length) {
    const tag = varint();
    const number = Math.floor(tag / 8);
    if (tag % 8 === 0) fields.push({ number, value: varint(), bytes: Buffer.alloc(0) });
    else if (tag % 8 === 2) {
      const length = varint();
      if (at + length > bytes.length) throw broken();
      fields.push({ number, value: 0, bytes: bytes.subarray(at, at + length) });
      at += length;
    } else if (tag % 8 === 1 || tag % 8 === 5) {
      // Of a fixed size; no field that is known here is one.
      at += tag % 8 === 1 ? 8 : 4;
      if (at > bytes.length) throw broken();
    } else throw broken();
  }
  return fields;
}
