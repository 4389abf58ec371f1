import { command } from '../../kit/command.ts';
import { render } from '../../servers/sandbox/registry/catalogue.ts';
import { commit, type Change } from '../../servers/sandbox/registry/commits.ts';
import { digestOf, pretty, toFiles } from '../../servers/sandbox/registry/records.ts';
import type {
  CatalogueLine,
  StoredVerdict,
  ToolFiles,
  VerdictRecord,
} from '../../servers/sandbox/registry/records.ts';
import { openRegistry } from '../../servers/sandbox/registry/registry.ts';
import { placeOf } from '../../servers/sandbox/registry/repository.ts';
import { Signer } from '../../servers/sandbox/registry/signing.ts';

const VERBS =
  `convert extract validate compare sort split merge format count average encode decode group filter
round translate shorten replace reverse normalize`.split(/\s/);

const NOUNS = `invoices dates coordinates colours temperatures currencies addresses telephone_numbers recipes
schedules log_lines passports barcodes chess_moves song_titles headlines postcodes percentages
fractions matrices polygons timestamps file_names user_agents query_strings markdown_tables csv_rows
json_paths version_numbers email_headers citations chemical_formulas train_routes exam_grades
survey_answers shopping_carts bank_statements weather_reports sensor_readings playlists translations
footnotes captions acronyms license_plates opening_hours street_names star_ratings hash_tags
ip_ranges`.split(/\s/);

/** A name of each of the up to 1,000 pairs, spread so that few tools have many verbs and nouns too. */
export function nameOf(i: number): { name: string; verb: string; noun: string } {
  const verb = VERBS[(i + Math.floor(i / NOUNS.length)) % VERBS.length] ?? '';
  const noun = NOUNS[i % NOUNS.length] ?? '';
  return { name: `${verb}_${noun}`, verb, noun: noun.replaceAll('_', ' ') };
}

/**
 * A registry of many published tools. One by one through its interface, 1,000 tools take four minutes (four git
 * processes each), so only the first goes that way; of the others all saves are one commit, all verdicts another, and
 * the catalogue is written once. Every file, tag and signature is what the interface would have made, which reading
 * it back through the interface checks. Gates are not run: what they take has nothing to do with how many tools there are.
 */
export async function stock(home: string, count: number): Promise<void> {
  const first = await openRegistry(home);
  const { version } = await first.save(filesOf(0));
  const { digest } = await first.read(nameOf(0).name, version);
  await first.putVerdict(nameOf(0).name, version, passed(digest));
  await first.publish(nameOf(0).name, version);
  const lines = new Map(first.live().map((line) => [line.name, line]));
  await first.close();
  await addAtOnce(
    home,
    Array.from({ length: count - 1 }, (_, i) => filesOf(i + 1)),
    lines,
  );
  await check(home, count);
}

async function addAtOnce(home: string, tools: ToolFiles[], lines: Map<string, CatalogueLine>) {
  const place = placeOf(home);
  const signer = new Signer(place.home);
  const git = (args: string[], input = '') =>
    command('git', args, { env: place.env, input, deadlineMs: 60_000 });
  const main = (await git(['rev-parse', 'refs/heads/main'])).stdout.trim();
  const entries = tools.map((tool) => ({ tool, files: toFiles(tool), name: tool.manifest.name }));

  const saves = entries.flatMap(({ name, files }) =>
    [...files].flatMap(([file, content]) => [
      { path: `tools/${name}/${file}`, content },
      { path: `versions/${name}/${FIRST}/${file}`, content },
    ]),
  );
  const saved = await commit(place, main, saves, `save ${entries.length} tools`);
  const tags = entries.map(({ name }) => `create refs/tags/${name}/v${FIRST} ${saved}\n`);
  await git(['update-ref', '--stdin'], tags.join(''));

  const verdicts: Change[] = [];
  for (const { tool, files, name } of entries) {
    const digest = digestOf(files);
    const stored: StoredVerdict = { name, version: FIRST, digest, commit: saved, verdict: passed(digest) };
    const approval = await signer.sign('verdict', pretty(stored));
    verdicts.push(
      { path: `verdicts/${name}/${FIRST}.json`, content: pretty(stored) },
      { path: `verdicts/${name}/${FIRST}.sig`, content: `${approval}\n` },
    );
    const { description, input_schema, output_schema } = tool.manifest;
    const published_at = new Date().toISOString();
    const shown = { name, version: FIRST, description, input_schema, output_schema };
    lines.set(name, { ...shown, digest, commit: saved, approval, previous: [], published_at });
  }
  const judged = await commit(place, saved, verdicts, `verdict on ${entries.length} tools`);

  const text = render({ at: new Date().toISOString(), lines });
  const catalogue = [
    { path: 'catalogue.json', content: text },
    { path: 'catalogue.sig', content: `${await signer.sign('catalogue', text)}\n` },
  ];
  await commit(place, judged, catalogue, `publish ${entries.length} tools`);
}

async function check(home: string, count: number): Promise<void> {
  const registry = await openRegistry(home);
  try {
    const { name } = nameOf(count - 1);
    const [last, program] = [await registry.read(name), await registry.program(name)];
    const live = registry.live().length;
    const warnings = registry.warnings();
    const fine = live === count && last.status === 'production' && program.digest === last.digest;
    if (!fine || warnings.length > 0)
      throw new Error(
        `the registry of ${count} tools has ${live}; ${name} is ${last.status}. ${warnings.join(' ')}`,
      );
  } finally {
    await registry.close();
  }
}

const FIRST = '1.0.0';

function passed(digest: string): VerdictRecord {
  const gates = [{ gate: 'tests', passed: true, ms: 1, message: 'passed' }];
  return { digest, passed: true, approval: 'policy', gates, at: new Date().toISOString() };
}

function filesOf(i: number): ToolFiles {
  const { name, verb, noun } = nameOf(i);
  const list = { type: 'array', items: { type: 'string' } };
  return {
    manifest: {
      name,
      description: `Use it to ${verb} ${noun}: takes a list of them and an option, and gives the new list.`,
      language: 'javascript',
      lane: 'quickjs',
      grants: [],
      input_schema: {
        type: 'object',
        properties: {
          items: { ...list, description: `the ${noun}` },
          option: { type: 'string', description: `how to ${verb} them` },
        },
        required: ['items'],
      },
      output_schema: { type: 'object', properties: { items: list }, required: ['items'] },
      engine: 'quickjs-wasi 3',
    },
    code: `export default ({ items }) => ({ items: items.map((item) => '${verb} ' + item) });\n`,
    tests: [{ name: 'one', input: { items: ['a'] }, output: { items: [`${verb} a`] } }],
  };
}
