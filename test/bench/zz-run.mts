import { mkdtempSync } from 'node:fs';
import { auth } from './zz-auth.ts';
const figs = await auth({ quick: false, rounds: (_f, q) => q * 2, folder: async () => mkdtempSync('/tmp/kzb-') });
for (const f of figs) console.log(f.name, f.value, f.unit, 'bar', f.bar, f.ok, f.note ?? '', JSON.stringify(f.details).slice(0, 700));
process.exit(0);
