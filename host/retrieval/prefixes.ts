/** How a model wants to be told what a text is. */
interface Prefixes {
  asked: string;
  told: string;
}

const NONE: Prefixes = { asked: '', told: '' };

/** As their model cards say; without them these models rank noticeably worse. Models not named here want none. */
const KNOWN: [RegExp, Prefixes][] = [
  [/\be5\b/, { asked: 'query: ', told: 'passage: ' }],
  [/nomic-embed/, { asked: 'search_query: ', told: 'search_document: ' }],
  [/embeddinggemma/, { asked: 'task: search result | query: ', told: 'title: none | text: ' }],
  [
    /mxbai-embed|snowflake-arctic-embed(?!2)|bge-(?!m3)/,
    { asked: 'Represent this sentence for searching relevant passages: ', told: '' },
  ],
  [/snowflake-arctic-embed2/, { asked: 'query: ', told: '' }],
  [
    /qwen3-embedding/,
    { asked: 'Instruct: Given a request, find the tool that serves it\nQuery: ', told: '' },
  ],
];

export function prefixes(model: string): Prefixes {
  return KNOWN.find(([name]) => name.test(model))?.[1] ?? NONE;
}

/** Whether a model knows only English: a request in another language is put into English for it first. */
export const englishOnly = (model: string): boolean =>
  /minilm|nomic-embed-text(?!-v2)|mxbai-embed|snowflake-arctic-embed(?!2)|bge-(?!m3)/.test(model) &&
  !/multilingual/.test(model);
