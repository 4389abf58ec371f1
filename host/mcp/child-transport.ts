import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { descendants, endAll } from './family.ts';

/** A server as a child process, which takes what it started with it when it is ended. */
export class ChildTransport extends StdioClientTransport {
  #closing: Promise<void> | undefined;

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
  }
}
