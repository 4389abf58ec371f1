import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { descendants, endAll } from './family.ts';
import { born, gone } from './orphans.ts';

/** A server as a child process, which takes what it started with it when it is ended. */
export class ChildTransport extends StdioClientTransport {
  readonly #home: string;
  #pid: number | undefined;
  #closing: Promise<void> | undefined;

  constructor(how: ConstructorParameters<typeof StdioClientTransport>[0], home: string) {
    super(how);
    this.#home = home;
  }

  override async start(): Promise<void> {
    const started = super.start();
    // Known at once: a host that is asked to end before it hears that the child runs ends it too.
    this.#pid = this.pid ?? undefined;
    if (this.#pid !== undefined) born(this.#pid, this.#home);
    await started;
  }

  override close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { pid } = this;
    // Before its end: then they are children of nobody.
    const family = pid === null ? [] : await descendants(pid);
    await super.close();
    await endAll(family);
    if (this.#pid !== undefined) gone(this.#pid);
  }
}
