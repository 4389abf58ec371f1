import { Client } from '@modelcontextprotocol/client';
import { observed } from './client.mjs';

observed(Client);
export * from '@modelcontextprotocol/client';
