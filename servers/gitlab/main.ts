#!/usr/bin/env node
import { mountable, serveMain } from '../../kit/serve.ts';
import { gitlab } from './definition.ts';

await serveMain([mountable(gitlab)], process.argv.slice(2));
