import { spawn, execFileSync } from 'node:child_process';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { World } from './world.ts';

/** git over HTTP by `git http-backend` (a CGI program), with GitLab's rules of who may read and write. */
export async function serveGit(
  world: World,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
): Promise<void> {
  const [user, password] = Buffer.from(
    /^Basic (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '',
    'base64',
  )
    .toString()
    .split(':');
  const token = world.tokens.get(password ?? '');
  const path = url.pathname.slice(1).replace(/\.git\/.*/, '');
  const project = world.find(path);
  const writes =
    url.pathname.endsWith('git-receive-pack') || url.searchParams.get('service') === 'git-receive-pack';
  const scopes = writes ? ['api', 'write_repository'] : ['api', 'read_repository', 'write_repository'];
  const open = !writes && !password && project?.visibility === 'public';
  const may =
    user &&
    token &&
    !token.expired &&
    project?.members.has(token.user.id) &&
    token.scopes.some((one) => scopes.includes(one));
  if (!project || (!may && !open)) {
    response.writeHead(401, { 'www-authenticate': 'Basic realm="GitLab"' });
    response.end(
      'HTTP Basic: Access denied. If a password was provided for Git authentication, the password was incorrect',
    );
    return;
  }
  if (writes && may && (project.members.get(token.user.id) ?? 0) < 30) {
    response.writeHead(403, { 'content-type': 'text/plain' });
    response.end('You are not allowed to push code to this project.');
    return;
  }
  const child = spawn(
    join(execFileSync('git', ['--exec-path'], { encoding: 'utf8' }).trim(), 'git-http-backend'),
    {
      env: {
        PATH: process.env['PATH'] ?? '',
        GIT_PROJECT_ROOT: world.folder,
        GIT_HTTP_EXPORT_ALL: '1',
        GIT_CONFIG_GLOBAL: '/dev/null',
        PATH_INFO: `/${project.path}.git${url.pathname.slice(url.pathname.indexOf('.git') + 4)}`,
        QUERY_STRING: url.search.slice(1),
        REQUEST_METHOD: request.method ?? 'GET',
        CONTENT_TYPE: request.headers['content-type'] ?? '',
        ...(request.headers['content-encoding'] && {
          HTTP_CONTENT_ENCODING: request.headers['content-encoding'],
        }),
        ...(typeof request.headers['git-protocol'] === 'string' && {
          GIT_PROTOCOL: request.headers['git-protocol'],
        }),
        REMOTE_USER: token?.user.username ?? '',
        DOUBLE_ROLE: String((token && project.members.get(token.user.id)) ?? 0),
      },
    },
  );
  child.stdin.on('error', () => undefined);
  request.pipe(child.stdin);
  const parts: Buffer[] = [];
  for await (const part of child.stdout) parts.push(Buffer.from(part));
  const all = Buffer.concat(parts);
  const end = all.indexOf('\r\n\r\n');
  let status = 200;
  for (const line of all.subarray(0, end).toString().split('\r\n')) {
    const [name = '', value = ''] = line.split(/: (.*)/);
    if (name.toLowerCase() === 'status') status = Number.parseInt(value, 10);
    else response.setHeader(name, value);
  }
  response.writeHead(status);
  response.end(all.subarray(end + 4));
}
