import { mkdir, mkdtemp } from 'node:fs/promises';
import { gatewayCalls } from './.gwbench.ts';
const base = await mkdtemp('/tmp/gwb-');
const quick = process.argv.includes('--quick');
const figures = await gatewayCalls({
  quick,
  rounds: (a, b) => (quick ? b : a),
  folder: async (name) => {
    const p = `${base}/${name}`;
    await mkdir(p, { recursive: true });
    return p;
  },
});
console.log(JSON.stringify(figures, null, 1));
