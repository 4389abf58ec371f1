import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeIn, snakeCase } from '../servers/sandbox/forge/author.ts';

test('code is found in what models answer', () => {
  const code = 'export default (x) => x;';
  assert.equal(codeIn(`Sure!\n\`\`\`js\n${code}\n\`\`\`\nThat is it.`), code);
  assert.equal(codeIn(code), code);
  assert.equal(codeIn(`\`\`\`javascript\n${code}`), code, 'a fence that was never closed');
  assert.equal(
    codeIn('```\nfunction f(x) { return x; }\n```'),
    'function f(x) { return x; }\n\nexport default f;',
  );
  assert.equal(codeIn('module.exports = (x) => x;'), code);
  assert.equal(
    codeIn('const a = 1;\nconst run = (x) => x + a;'),
    'const a = 1;\nconst run = (x) => x + a;\n\nexport default run;',
  );
});

test('names as the registry takes them', () => {
  assert.equal(snakeCase('CSV to JSON!'), 'csv_to_json');
  assert.equal(snakeCase('parseIsoWeek'), 'parse_iso_week');
  assert.equal(snakeCase('forged_tool'), 'tool');
  assert.equal(snakeCase('Zażółć'), 'zazo_c');
  assert.equal(snakeCase('123'), 'tool');
  assert.equal(snakeCase('../../etc'), 'etc');
});
