import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { ToolError } from '../../kit/tool.ts';

const MOST_BYTES = 20 * 1024 * 1024;

/**
 * The texts of the QR codes in a picture (PNG, JPEG), which is a file or its bytes. Read here, by ZXing in WebAssembly: no
 * picture leaves the machine.
 */
export async function qrTexts(picture: string | Uint8Array): Promise<string[]> {
  const path = typeof picture === 'string' ? picture : 'the file';
  const bytes = typeof picture === 'string' ? await fileOf(picture) : picture;
  if (bytes.length > MOST_BYTES)
    throw new ToolError(`In ${path} are more than 20 MB. Cut the picture to the code.`);
  if (!READABLE.test(Buffer.from(bytes.subarray(0, 4)).toString('latin1'))) throw unreadable(path);
  const { prepareZXingModule, readBarcodes } = await import('zxing-wasm/reader');
  // Without this it is fetched from a CDN.
  const wasm = await readFile(createRequire(import.meta.url).resolve('zxing-wasm/reader/zxing_reader.wasm'));
  const wasmBinary = wasm.buffer.slice(wasm.byteOffset, wasm.byteOffset + wasm.byteLength);
  await prepareZXingModule({ overrides: { wasmBinary }, fireImmediately: true });
  let found: { text: string }[];
  try {
    found = await readBarcodes(new Uint8Array(bytes), { formats: ['QRCode'], tryHarder: true });
  } catch {
    throw unreadable(path);
  }
  const texts = found.map(({ text }) => text).filter((text) => text !== '');
  if (texts.length > 0) return texts;
  throw new ToolError(
    `There is no QR code in ${path}, or it is too small or blurred, or its background is transparent. Take a screenshot of it, or the picture again, closer.`,
  );
}

async function fileOf(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    const why = error instanceof Error ? error.message : 'it cannot be read';
    throw new ToolError(`The picture ${path} cannot be opened (${why}). Check the path.`);
  }
}

/** How PNG, JPEG, GIF and BMP begin. Of what the decoder does not know (HEIC of phones, WebP, SVG) it just finds nothing. */
const READABLE = /^(?:\x89PNG|\xff\xd8\xff|GIF8|BM)/;

const unreadable = (path: string) =>
  new ToolError(
    `What is in ${path} is no picture that can be read. Give a PNG or JPEG (a screenshot is one).`,
  );
