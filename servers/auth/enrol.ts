import { secretStore, secretName } from '../../kit/secret-store.ts';
import { registerSecret } from '../../kit/secrets.ts';
import { ToolError } from '../../kit/tool.ts';
import { fromUri, type Enrolled } from './enrol-uri.ts';
import { fromMigration } from './migration.ts';
import { qrTexts } from './qr.ts';

/** What a person enrols: a URI or seed as text, or a picture of its QR code, as a file or its bytes. */
type EnrolSource = { text: string } | { picture: string | Uint8Array };

/**
 * Adds two-factor entries to the store: one, or as many as an export of Google Authenticator holds, named after it
 * (`name`, `name-2`, …). Gives what was added, without seeds. Only a person's command calls this.
 */
export async function enrol(
  home: string,
  name: string,
  source: EnrolSource,
  origins: string[],
): Promise<{ name: string; issuer: string; account: string }[]> {
  const texts = 'text' in source ? [source.text] : await qrTexts(source.picture);
  const found = texts.flatMap((text) => read(text.trim()));
  for (const { secret } of found) registerSecret(secret, { label: name });
  const named = found.map((one, index) => ({ name: index === 0 ? name : `${name}-${index + 1}`, ...one }));
  const added = new Date().toISOString();
  // A site is one account's: of several nobody has said which.
  const allowedAt = named.length === 1 ? origins : [];
  await secretStore(home).update((all) => {
    for (const { name, ...settings } of named) {
      if (!secretName.test(name)) throw new ToolError(`${name} is no name for a secret.`);
      if (all[name])
        throw new ToolError(`${name} is there already. Remove it first: kuznia secret rm ${name}`);
      all[name] = { kind: 'otp', value: JSON.stringify(settings), origins: allowedAt, added };
    }
  });
  return named.map(({ name, issuer, account }) => ({ name, issuer, account }));
}

function read(text: string): Enrolled[] {
  return /^otpauth-migration:\/\//i.test(text) ? fromMigration(text) : [fromUri(text)];
}
