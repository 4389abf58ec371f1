import type { Journal } from '../../kit/journal.ts';
import { signIn, type clientOf, type SignInPrompt } from './oauth.ts';

/** A sign-in that a person has begun. */
interface SignIn {
  /** What the person has to do. */
  prompt: Promise<SignInPrompt>;
  /** Rejects with why it came to nothing. */
  done: Promise<void>;
  stop: AbortController;
  ended: boolean;
}

/** Sign-ins by name: of each the last, for as long as the server is open. */
export class SignIns {
  readonly #home: string;
  readonly #last = new Map<string, SignIn>();

  constructor(home: string) {
    this.#home = home;
  }

  /** Begins one, in place of one that still waits. */
  begin(name: string, client: Awaited<ReturnType<typeof clientOf>>, journal: Journal): SignIn {
    this.stop(name);
    const stop = new AbortController();
    const began = performance.now();
    let done = Promise.resolve();
    const prompt = new Promise<SignInPrompt>((resolve, reject) => {
      done = signIn(this.#home, name, client, resolve, stop.signal);
      done.catch(reject);
    });
    prompt.catch(() => undefined); // told by `done` too
    const one: SignIn = { prompt, done, stop, ended: false };
    const ended = (outcome: 'ok' | 'cancelled' | 'error') => {
      one.ended = true;
      journal.record({ kind: 'event', name: `sign-in ${name}`, ms: performance.now() - began, outcome });
    };
    done.then(
      () => ended('ok'),
      () => ended(stop.signal.aborted ? 'cancelled' : 'error'),
    );
    this.#last.set(name, one);
    return one;
  }

  /** The last one of a name, ended or not. */
  last(name: string): SignIn | undefined {
    return this.#last.get(name);
  }

  /** True while a person has something to do. */
  waits(name: string): boolean {
    const last = this.#last.get(name);
    return last !== undefined && !last.ended && !last.stop.signal.aborted;
  }

  stop(name: string): void {
    this.#last.get(name)?.stop.abort();
  }

  close(): void {
    for (const name of this.#last.keys()) this.stop(name);
  }
}
