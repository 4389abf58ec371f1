/** What can be read of a mail: its HTML, its text, or both. */
export interface Readable {
  text: string;
  html: string;
}

/**
 * A mail as it came, parsed. What lies about itself is read as it is: text that is called US-ASCII and is not, Latin-1 that
 * is called UTF-8, a multipart without parts. A mail inside the mail is not read: its code was made for another time.
 */
export async function readMail(source: Buffer): Promise<Readable> {
  // US-ASCII is a part of UTF-8: nothing that tells the truth reads otherwise.
  const told = latin(
    source.toString('latin1').replace(/(charset\s{0,9}=\s{0,9}"?)(?:us-)?ascii\b/gi, '$1utf-8'),
  );
  const mail = await parsed(told);
  if (!mail) return { text: bodyOf(source), html: '' };
  const shown = mail.html || mail.text;
  if (shown.includes('\ufffd')) {
    // Bytes that are no UTF-8 are Latin-1 mostly; as UTF-8 they say the same.
    const other = await parsed(Buffer.from(told.toString('latin1'), 'utf8'));
    if (other && !(other.html || other.text).includes('\ufffd')) return other;
  }
  return shown.trim() === '' && mail.empty ? { text: bodyOf(source), html: '' } : mail;
}

async function parsed(source: Buffer): Promise<(Readable & { empty: boolean }) | undefined> {
  const { default: PostalMime } = await import('postal-mime');
  try {
    const mail = await PostalMime.parse(source, {
      maxNestingDepth: 20,
      maxHeadersSize: 256 * 1024,
      forceRfc822Attachments: true,
    });
    const html = mail.html ?? '';
    return { html, text: mail.text ?? '', empty: mail.attachments.length === 0 };
  } catch {
    // Nested or long past the limits.
    return undefined;
  }
}

const latin = (text: string) => Buffer.from(text, 'latin1');

/** Behind the header, as it stands. */
function bodyOf(source: Buffer): string {
  const text = source.toString('utf8');
  const end = /\r?\n\r?\n/.exec(text);
  return end ? text.slice(end.index + end[0].length) : text;
}
