#!/usr/bin/env node
import { mountable, serveMain } from '../../kit/serve.ts';
import { sandbox } from './definition.ts';

await serveMain([mountable(sandbox)], process.argv.slice(2));
