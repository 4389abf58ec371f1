import type { Task } from './task.ts';

/** Ten tools from a sentence each; every one is tried on inputs that the sentence does not name. */
export const forgeTasks: Task[] = [
  {
    id: 'forge-vowels',
    kind: 'forge',
    request:
      'Forge a tool that counts the vowels (a, e, i, o, u, either case) of a text. Input: text. Output: vowels.',
    hidden: [
      { input: { text: 'Kuznia' }, output: { vowels: 3 } },
      { input: { text: 'RHYTHM' }, output: { vowels: 0 } },
      { input: { text: 'AEIOU aeiou' }, output: { vowels: 10 } },
    ],
  },
  {
    id: 'forge-roman',
    kind: 'forge',
    request:
      'I need a tool that writes a whole number from 1 to 3999 in Roman numerals. Input: number. Output: roman.',
    hidden: [
      { input: { number: 1994 }, output: { roman: 'MCMXCIV' } },
      { input: { number: 3999 }, output: { roman: 'MMMCMXCIX' } },
      { input: { number: 4 }, output: { roman: 'IV' } },
    ],
  },
  {
    id: 'forge-luhn',
    kind: 'forge',
    request:
      'Make a tool that says whether a card number has a right Luhn checksum; spaces in it do not matter. Input: card (a string). Output: valid.',
    hidden: [
      { input: { card: '4539 1488 0343 6467' }, output: { valid: true } },
      { input: { card: '8273 1232 7352 0569' }, output: { valid: false } },
      { input: { card: '79927398713' }, output: { valid: true } },
    ],
  },
  {
    id: 'forge-duration',
    kind: 'forge',
    request:
      'Forge a tool that turns seconds into hours, minutes and seconds as H:MM:SS, for example 3661 into 1:01:01. Input: seconds. Output: text.',
    hidden: [
      { input: { seconds: 59 }, output: { text: '0:00:59' } },
      { input: { seconds: 36_000 }, output: { text: '10:00:00' } },
      { input: { seconds: 7_325 }, output: { text: '2:02:05' } },
    ],
  },
  {
    id: 'forge-median',
    kind: 'forge',
    request:
      'I keep needing the median of a list of numbers (the mean of the two in the middle when their count is even). Forge a tool for it. Input: numbers. Output: median.',
    hidden: [
      { input: { numbers: [10, 2, 33] }, output: { median: 10 } },
      { input: { numbers: [1, 100, 3, 4] }, output: { median: 3.5 } },
      { input: { numbers: [-5] }, output: { median: -5 } },
    ],
  },
  {
    id: 'forge-initials',
    kind: 'forge',
    request:
      'Forge a tool that makes the initials of a name: the first letter of each word, upper case, without dots. Input: name. Output: initials.',
    hidden: [
      { input: { name: 'ada lovelace' }, output: { initials: 'AL' } },
      { input: { name: '  Jan  Maria Rokita ' }, output: { initials: 'JMR' } },
      { input: { name: 'Łucja Żak' }, output: { initials: 'ŁŻ' } },
    ],
  },
  {
    id: 'forge-weekday',
    kind: 'forge',
    request:
      'Make a tool that tells the English name of the day of the week of a date given as YYYY-MM-DD. Input: date. Output: weekday.',
    hidden: [
      { input: { date: '2000-01-01' }, output: { weekday: 'Saturday' } },
      { input: { date: '2024-02-29' }, output: { weekday: 'Thursday' } },
      { input: { date: '1969-07-20' }, output: { weekday: 'Sunday' } },
    ],
  },
  {
    id: 'forge-hex',
    kind: 'forge',
    request:
      'I need a tool that turns a colour like #ff8800 into its red, green and blue parts from 0 to 255. Input: colour. Output: red, green, blue.',
    hidden: [
      { input: { colour: '#ff8800' }, output: { red: 255, green: 136, blue: 0 } },
      { input: { colour: '#0A0b0C' }, output: { red: 10, green: 11, blue: 12 } },
      { input: { colour: '#000000' }, output: { red: 0, green: 0, blue: 0 } },
    ],
  },
  {
    id: 'forge-words',
    kind: 'forge',
    request:
      'Zrób narzędzie, które podaje najdłuższe słowo w tekście (pierwsze, jeśli jest ich więcej). Wejście: text. Wyjście: word. Call the input `text` and the output `word`.',
    hidden: [
      { input: { text: 'ala ma kota' }, output: { word: 'kota' } },
      { input: { text: 'one three seven' }, output: { word: 'three' } },
      { input: { text: 'a' }, output: { word: 'a' } },
    ],
  },
  {
    id: 'forge-csv',
    kind: 'forge',
    request:
      'Forge a tool that sums one column of a small CSV with a header line (commas, no quotes). Input: csv, column (its name). Output: sum.',
    hidden: [
      { input: { csv: 'name,price\nnut,2.5\nbolt,4\n', column: 'price' }, output: { sum: 6.5 } },
      { input: { csv: 'a,b,c\n1,2,3\n4,5,6', column: 'b' }, output: { sum: 7 } },
      { input: { csv: 'x\n-3\n3', column: 'x' }, output: { sum: 0 } },
    ],
  },
];
