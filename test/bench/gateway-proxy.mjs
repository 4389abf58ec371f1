// What any gateway must do at least: bytes of a client to a server and back, unread. `--http URL`, or a server on stdio.
import { spawn } from 'node:child_process';
import { Agent, createServer, request } from 'node:http';

const [flag, to] = process.argv.slice(2);

if (flag === '--http') {
  const { hostname, port } = new URL(to);
  const agent = new Agent({ keepAlive: true });
  const http = createServer((req, res) => {
    const { method, url: path, headers } = req;
    const asked = request({ hostname, port, path, method, headers, agent }, (answer) => {
      res.writeHead(answer.statusCode, answer.headers);
      answer.pipe(res);
    });
    req.pipe(asked);
  });
  http.listen(0, '127.0.0.1', () =>
    process.stderr.write(`MCP at http://127.0.0.1:${http.address().port}/mcp\n`),
  );
} else {
  const server = spawn(process.execPath, [flag], { stdio: ['pipe', 'pipe', 'inherit'] });
  process.stdin.pipe(server.stdin);
  server.stdout.pipe(process.stdout);
}
