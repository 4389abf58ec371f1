#!/usr/bin/env node
import { mountable, serveMain } from '../../kit/serve.ts';
import { auth } from './definition.ts';

await serveMain([mountable(auth)], process.argv.slice(2));
