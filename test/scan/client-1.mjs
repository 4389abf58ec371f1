import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { observed } from './client.mjs';

observed(Client);
export * from '@modelcontextprotocol/sdk/client/index.js';
