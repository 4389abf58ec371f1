import type MiniSearch from 'minisearch';

/** What is searched of a tool. */
interface Searchable {
  name: string;
  description: string;
  /** Names and descriptions of arguments, names of tests. */
  details: string;
  /** Raises or lowers its place; 1 is neutral. */
  weight: number;
}

/** Words of one meaning, as they turn up in requests and descriptions; the first stands for all. */
const MEANINGS = [
  'convert turn transform change translate map render make',
  'extract get find read pick parse take pull',
  'remove delete strip drop trim clean erase',
  'check validate verify test valid correct is',
  'compute calculate count sum total add work',
  'compare diff difference distance similarity',
  'sort order rank arrange',
  'split break divide chunk separate cut',
  'join merge combine concatenate concat union',
  'format pretty print layout style',
  'url link address uri slug permalink',
  'text string sentence title phrase words',
  'date day time calendar week month year timestamp',
  'number integer digit numeric',
  'list array items elements collection',
  'table csv spreadsheet columns rows',
  'random generate create produce build',
  'encode escape quote serialize',
  'decode unescape unquote deserialize',
  'average mean median statistics stats',
  'unique distinct deduplicate dedupe duplicates',
  'group bucket categorize classify partition',
  'person user name people',
  'money price currency amount cost',
  'checksum hash digest control',
  'email mail',
  'replace substitute swap',
  'shorten truncate abbreviate summarize',
  'uppercase capitalize case',
  'reverse invert backwards mirror',
];

const SENSE = new Map(
  MEANINGS.flatMap((line) => line.split(' ').map((word) => [stem(word), stem(line.split(' ')[0] ?? word)])),
);

const STOP = new Set(
  'a an the of to in on for from with and or by as into that this it its is are be do does how i me my which what when you your'.split(
    ' ',
  ),
);

/** A search over tools by the meaning of words: stems, groups of like meaning, near spellings; best first. */
export class ToolSearch {
  #index: MiniSearch | undefined;
  #tools: Searchable[] = [];
  #of: object | undefined;

  /** Sets what is searched. `of` is what `tools` is made from: the same object again keeps the index. */
  load(of: object, tools: () => Searchable[]): void {
    if (this.#of === of) return;
    this.#of = of;
    this.#tools = tools();
    this.#index = undefined;
  }

  async find(query: string, limit: number): Promise<{ name: string; score: number }[]> {
    const index = (this.#index ??= await this.#build());
    return index
      .search(query, {
        boost: { name: 3, description: 2 },
        boostDocument: (_id, _term, stored) =>
          typeof stored?.['weight'] === 'number' ? stored['weight'] : 1,
        fuzzy: (term) => (term.length > 5 ? 0.2 : 0),
        prefix: (term) => term.length > 3,
        weights: { fuzzy: 0.3, prefix: 0.4 },
      })
      .slice(0, limit)
      .map((hit) => ({ name: String(hit.id), score: Math.round(hit.score * 100) / 100 }));
  }

  async #build(): Promise<MiniSearch> {
    const { default: Index } = await import('minisearch');
    const index = new Index({
      idField: 'name',
      fields: ['name', 'description', 'details'],
      storeFields: ['weight'],
      tokenize: words,
      // A word counts as itself and as what it means.
      processTerm: (term) => {
        const root = stem(term);
        const sense = SENSE.get(root);
        return sense && sense !== root ? [root, `=${sense}`] : [root, `=${root}`];
      },
    });
    index.addAll(this.#tools);
    return index;
  }
}

function words(text: string): string[] {
  return text
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '' && !STOP.has(word));
}

/** English endings cut off, after the first steps of Porter's stemmer; enough to make "titles" meet "title". */
function stem(word: string): string {
  if (word.length < 4) return word;
  return word
    .replace(/(ss)es$|ies$/, (_, kept: string | undefined) => kept ?? 'y')
    .replace(/([^s])s$/, '$1')
    .replace(/(ation|ator|ating|ated|ate)$/, 'at')
    .replace(/(ing|ed|er|or|ly|ion)$/, (end: string, _group: string, at: number) => (at < 3 ? end : ''))
    .replace(/([bdgmnprt])\1$/, '$1')
    .replace(/e$/, '');
}
