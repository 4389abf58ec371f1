import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { endpoints } from './doubles/gitlab/server.ts';
import { noContract, parametersOf } from './gitlab-contract.ts';

const grape = new URL('doubles/gitlab/grape.json', import.meta.url);

test("the double's table of parameters is what GitLab's OpenAPI file says", { skip: noContract }, () => {
  const made = parametersOf(endpoints);
  if (process.env['UPDATE']) writeFileSync(grape, `${JSON.stringify(made, null, 1)}\n`);
  assert.deepEqual(JSON.parse(readFileSync(grape, 'utf8')), made);
  assert.ok(Object.keys(made).length > 80);
});
