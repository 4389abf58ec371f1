import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** An image with node that is here already (nothing is pulled), or why there is none. BENCH_IMAGE names another. */
export async function dockerImage(): Promise<{ image?: string; why: string }> {
  const own = process.env['BENCH_IMAGE'];
  let listed: string;
  try {
    const format = '{{.Repository}}:{{.Tag}}';
    ({ stdout: listed } = await run('docker', ['image', 'ls', '--format', format], { timeout: 10_000 }));
  } catch {
    return { why: 'no Docker engine answers' };
  }
  const images = listed.split('\n').filter((name) => /(^|[/-])node[:-]/.test(name));
  const image = own ?? images.find((name) => /slim|alpine/.test(name)) ?? images[0];
  if (image === undefined)
    return { why: 'the Docker engine has no image of node (docker pull node:20-slim)' };
  try {
    await run('docker', ['run', '--rm', '--network=none', image, 'node', '-e', '0'], { timeout: 60_000 });
  } catch (error) {
    const said = error instanceof Error ? (error.message.split('\n')[1] ?? error.message) : String(error);
    return { why: `${image} does not run: ${said.slice(0, 160)}` };
  }
  return { image, why: '' };
}
