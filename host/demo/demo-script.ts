import type { Script } from '../../kit/scripted.ts';

/** What the person says in the demonstration; the model's answers below are its other half. */
export const QUESTIONS = [
  'Is DE89 3704 0044 0532 0130 00 a valid IBAN? I need to check many of them.',
  'People also write them in lower case and with dashes. Let the tool accept that.',
  'On second thought, take that back.',
];

const CODE = (remainder: string) => `export default ({ iban }) => {
  const text = iban.replace(/\\s/g, '');
  if (!/^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$/.test(text)) throw new Error('not an IBAN: ' + iban);
  const moved = text.slice(4) + text.slice(0, 4);
  const digits = moved.replace(/[A-Z]/g, (letter) => String(letter.charCodeAt(0) - 55));
  return { valid: ${remainder} === 1 };
};`;

/** Wrong beyond 2^53, as first attempts at this often are: the tests find it. */
const FIRST = CODE('Number(digits) % 97');
const MENDED = CODE('Number(BigInt(digits) % 97n)');
const WIDER = MENDED.replace("iban.replace(/\\s/g, '')", "iban.replace(/[\\s-]/g, '').toUpperCase()");

const fields = {
  name: 'iban_check',
  description: 'Tells whether an IBAN has a right checksum (ISO 13616, mod 97).',
  input: [{ name: 'iban', type: 'string', description: 'the IBAN, with or without spaces' }],
  output: [{ name: 'valid', type: 'boolean', description: 'whether the checksum is right' }],
};

const block = (code: string) => `\`\`\`js\n${code}\n\`\`\``;
const use = (iban: string) => ({ name: 'forged_iban_check', arguments: { iban } });
const publish = { name: 'sandbox_publish_tool', arguments: { name: 'iban_check' } };

/** The model's answers, each with a text from the question that it belongs to. */
export const SCRIPT: Script = {
  models: [{ name: 'scripted answers', capabilities: ['completion', 'tools'], contextLength: 32_768 }],
  paceMs: 12,
  answers: [
    {
      last: ['I need to check many of them'],
      answer: 'I have no tool for that, and arithmetic on 22 digits is nothing to guess at. I make one.',
      calls: [
        {
          name: 'sandbox_forge_tool',
          arguments: { task: 'Tell whether an IBAN has a right checksum (ISO 13616, mod 97).' },
        },
      ],
    },
    { last: ['Plan one tool for this task'], answer: fields },
    { last: ['Write the tool `iban_check`'], answer: block(FIRST) },
    {
      last: ['Write tests for the tool `iban_check`'],
      answer: {
        tests: [
          { name: 'German', input: { iban: 'DE89 3704 0044 0532 0130 00' }, output: { valid: true } },
          {
            name: 'British, with letters',
            input: { iban: 'GB29 NWBK 6016 1331 9268 19' },
            output: { valid: true },
          },
          { name: 'Polish', input: { iban: 'PL61109010140000071219812874' }, output: { valid: true } },
          { name: 'a digit wrong', input: { iban: 'DE89 3704 0044 0532 0130 01' }, output: { valid: false } },
          {
            name: 'two digits swapped',
            input: { iban: 'PL61109010140000071219812847' },
            output: { valid: false },
          },
        ],
        refused: [{ name: 'no IBAN', input: { iban: 'hello' }, error: 'not an IBAN' }],
      },
    },
    { last: ['`iban_check`', 'What is wrong'], answer: { wrong: 'code' } },
    { last: ['Mend the tool `iban_check`'], answer: block(MENDED) },
    { last: ['"status":"approved"'], calls: [publish] },
    {
      last: ['forged_iban_check'],
      calls: [use('DE89 3704 0044 0532 0130 00'), use('DE89 3704 0044 0532 0130 01')],
    },
    {
      last: ['"valid":false'],
      answer: 'Yes, it is valid; with its last digit changed it is not. From now on I have a tool for this.',
    },

    {
      last: ['lower case and with dashes. Let the tool'],
      calls: [
        {
          name: 'sandbox_improve_tool',
          arguments: {
            name: 'iban_check',
            change: 'Accept lower case letters and dashes between the groups too.',
          },
        },
      ],
    },
    {
      last: ['`iban_check`', 'Say what it is after the change'],
      answer: {
        ...fields,
        input: [
          {
            name: 'iban',
            type: 'string',
            description: 'the IBAN; spaces, dashes and lower case do not matter',
          },
        ],
      },
    },
    { last: ['Change the tool `iban_check`'], answer: block(WIDER) },
    {
      last: ['`iban_check` was changed'],
      answer: {
        tests: [
          { name: 'dashes', input: { iban: 'DE89-3704-0044-0532-0130-00' }, output: { valid: true } },
          { name: 'lower case', input: { iban: 'gb29 nwbk 6016 1331 9268 18' }, output: { valid: false } },
        ],
        refused: [],
      },
    },
    { last: ['"status":"approved"'], calls: [publish] },
    { last: ['forged_iban_check'], calls: [use('de89-3704-0044-0532-0130-00')] },
    {
      last: ['"valid":true'],
      answer: 'The new version takes it as it is written; all old tests still pass.',
    },

    {
      last: ['take that back'],
      calls: [{ name: 'sandbox_rollback_tool', arguments: { name: 'iban_check' } }],
    },
    { last: ['forged_iban_check', 'version'], calls: [use('de89-3704-0044-0532-0130-00')] },
    {
      last: ['not an IBAN'],
      answer:
        'The version before is in use again: it refuses dashes. The newer one is kept and can come back.',
    },
  ],
};
