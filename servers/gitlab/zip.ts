import { ToolError } from '../../kit/tool.ts';

/**
 * Names and sizes from the central directory of a ZIP archive (APPNOTE 4.3.12), which stands at its end: the archive may be
 * the last part of a larger one. Nothing is unpacked.
 */
export function zipEntries(archive: Uint8Array): { name: string; size: number }[] {
  const view = Buffer.from(archive.buffer, archive.byteOffset, archive.byteLength);
  const end = view.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'));
  if (end < 0 || end + 20 > view.length)
    throw new ToolError('The artifacts are no ZIP archive. Look at the job on GitLab.');
  const { from, to } = directory(view, end);
  if (from < 0)
    throw new ToolError(
      'The artifacts have too many files to list. Give `path`, one file of them, or open the job on GitLab.',
    );
  const entries: { name: string; size: number }[] = [];
  let at = from;
  while (at + 46 <= to && view.readUInt32LE(at) === 0x02014b50) {
    const name = view.readUInt16LE(at + 28);
    const text = view.toString('utf8', at + 46, at + 46 + name);
    if (!text.endsWith('/')) entries.push({ name: text, size: view.readUInt32LE(at + 24) });
    at += 46 + name + view.readUInt16LE(at + 30) + view.readUInt16LE(at + 32);
  }
  return entries;
}

/** Where the central directory stands; before zero where that part is not here. */
function directory(view: Buffer, end: number): { from: number; to: number } {
  // Of archives with many files, or past 4 GB, a second record says it (APPNOTE 4.3.14, 4.3.15).
  const large = end - 20 - 56;
  if (large >= 0 && view.readUInt32LE(end - 20) === 0x07064b50 && view.readUInt32LE(large) === 0x06064b50)
    return { from: large - Number(view.readBigUInt64LE(large + 40)), to: large };
  return { from: end - view.readUInt32LE(end + 12), to: end };
}
