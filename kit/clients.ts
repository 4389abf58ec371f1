import type { AuthInfo } from '@modelcontextprotocol/server';
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { refuse } from './body.ts';

/** Who may come in over HTTP beside the holder of `KUZNIA_TOKEN`. */
export interface Clients {
  /** The client whose token has this SHA-256 digest. */
  find: (digest: Buffer) => string | undefined;
  /** Whether there is any: then nobody comes in without a token. */
  any: () => boolean;
}

/** Digests have one length, so that their comparison tells nothing about the token's. */
const digest = (text: string) => createHash('sha256').update(text).digest();

/** Where RFC 9728 has a client look for what `/mcp` is; older clients ask without the path. */
const METADATA = '/.well-known/oauth-protected-resource';
const METADATA_PATHS = [`${METADATA}/mcp`, METADATA];

export interface GateOptions {
  /** Lets everything through. */
  token?: string;
  clients?: Clients;
  /** The address that clients use, where a proxy stands in front. */
  publicUrl?: string;
}

/** Asks every request for its token, where one is needed, and tells clients what they came to. */
export class Gate {
  readonly #options: GateOptions;
  readonly #all: Buffer | undefined;
  #needed: boolean;

  constructor(options: GateOptions) {
    this.#options = options;
    this.#all = options.token === undefined ? undefined : digest(options.token);
    this.#needed = this.#all !== undefined || (options.clients?.any() ?? false);
  }

  /**
   * True for a request that may go on; any other was answered here. A client with a token of its own is named to the
   * protocol as `clientId`, without the token: nothing behind this needs it.
   */
  admits(req: IncomingMessage & { auth?: AuthInfo }, res: ServerResponse, path: string): boolean {
    // Once needed it stays so: taking the last client's token away must not open the door to all.
    this.#needed ||= this.#options.clients?.any() ?? false;
    if (METADATA_PATHS.includes(path)) {
      if (!this.#needed) refuse(res, 404, 'No token is needed here; MCP is at /mcp.');
      else this.#tell(req, res);
      return false;
    }
    if (!this.#needed) return true;
    const given = /^Bearer (.+)$/i.exec(req.headers.authorization ?? '')?.[1] ?? '';
    const seen = digest(given);
    if (this.#all && timingSafeEqual(seen, this.#all)) return true;
    const client = this.#options.clients?.find(seen);
    if (client !== undefined) {
      req.auth = { token: '', clientId: client, scopes: [] };
      return true;
    }
    const why = given === '' ? 'No bearer token. Send' : 'Wrong bearer token. Send';
    const which = this.#options.clients ? ', or a token of `kuznia token add`,' : '';
    const challenge = [
      'realm="kuznia"',
      // RFC 6750, section 3.1: no error code where no token was sent at all.
      ...(given === '' ? [] : ['error="invalid_token"']),
      `resource_metadata="${this.#base(req)}${METADATA}/mcp"`,
    ];
    refuse(res, 401, `${why} the one in KUZNIA_TOKEN${which} as \`Authorization: Bearer …\`.`, {
      'www-authenticate': `Bearer ${challenge.join(', ')}`,
    });
    return false;
  }

  /** Protected resource metadata: no `authorization_servers`, since tokens are handed over by a person. */
  #tell(req: IncomingMessage, res: ServerResponse): void {
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      return refuse(res, 405, 'Read it with GET.', { allow: 'GET, HEAD' });
    }
    res.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' });
    res.end(
      JSON.stringify({
        resource: `${this.#base(req)}/mcp`,
        resource_name: 'Kuźnia',
        bearer_methods_supported: ['header'],
      }),
    );
  }

  /** As this client sees us, which the metadata must repeat (RFC 9728, section 3.3); its Host was checked before. */
  #base(req: IncomingMessage): string {
    return (
      this.#options.publicUrl?.replace(/\/(mcp)?\/?$/, '') ?? `http://${req.headers.host ?? 'localhost'}`
    );
  }
}
