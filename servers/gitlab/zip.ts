import { ToolError } from '../../kit/tool.ts';

/** Names and sizes from the central directory of a ZIP archive (APPNOTE 4.3.12); nothing is unpacked. */
export function zipEntries(archive: Uint8Array): { name: string; size: number }[] {
  const view = Buffer.from(archive.buffer, archive.byteOffset, archive.byteLength);
  const end = view.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'));
  if (end < 0 || end + 20 > view.length)
    throw new ToolError('The artifacts are no ZIP archive. Look at the job on GitLab.');
  const entries: { name: string; size: number }[] = [];
  let at = view.readUInt32LE(end + 16);
  while (at + 46 <= end && view.readUInt32LE(at) === 0x02014b50) {
    const name = view.readUInt16LE(at + 28);
    const text = view.toString('utf8', at + 46, at + 46 + name);
    if (!text.endsWith('/')) entries.push({ name: text, size: view.readUInt32LE(at + 24) });
    at += 46 + name + view.readUInt16LE(at + 30) + view.readUInt16LE(at + 32);
  }
  return entries;
}
