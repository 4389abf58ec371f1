// The server behind every gateway that is measured: the v1 SDK's smallest, on stdio, or on HTTP when asked to.
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { z } from 'zod';

function make() {
  const server = new McpServer({ name: 'base', version: '0' });
  const inputSchema = { text: z.string() };
  const annotations = { readOnlyHint: true };
  server.registerTool('echo', { description: 'Says it back.', inputSchema, annotations }, ({ text }) => ({
    content: [{ type: 'text', text }],
  }));
  return server;
}

if (process.argv[2] === '--http') {
  const sessions = new Map();
  const answer = async (req, res) => {
    const known = sessions.get(req.headers['mcp-session-id']);
    if (known) {
      await known.handleRequest(req, res);
      return;
    }
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => sessions.set(id, transport),
    });
    await make().connect(transport);
    await transport.handleRequest(req, res);
  };
  const http = createServer((req, res) => void answer(req, res));
  http.listen(0, '127.0.0.1', () =>
    process.stderr.write(`MCP at http://127.0.0.1:${http.address().port}/mcp\n`),
  );
} else {
  await make().connect(new StdioServerTransport());
}
