import type { ChatMessage } from '../../kit/model.ts';
import { continueSession, newTurn, SessionFile, type Turn } from '../sessions/sessions.ts';

/** What is said so far, turn by turn, in memory and in its file. */
export class Conversation {
  readonly #file: SessionFile;
  #turns: Turn[];
  /** As the model reads it: shorter than the turns where room had to be made. */
  #messages: ChatMessage[];

  private constructor(file: SessionFile, turns: Turn[]) {
    this.#file = file;
    this.#turns = turns;
    this.#messages = messagesOf(turns);
  }

  /** A new one; nothing is written before something is said. */
  static begin(home: string, trouble: (message: string) => void): Conversation {
    return new Conversation(new SessionFile(home, trouble), []);
  }

  /** The newest one, or the one with this id. Throws UsageError where there is none. */
  static resume(home: string, which: string | undefined, trouble: (message: string) => void): Conversation {
    const { session, file } = continueSession(home, which, trouble);
    return new Conversation(file, session.turns);
  }

  get id(): string {
    return this.#file.id;
  }

  get turns(): readonly Turn[] {
    return this.#turns;
  }

  get messages(): readonly ChatMessage[] {
    return this.#messages;
  }

  /** A question: its turn, and the messages for the loop, which may change them as it likes until `end`. */
  ask(question: ChatMessage, model: string): { turn: Turn; messages: ChatMessage[] } {
    const turn = newTurn(model);
    turn.messages.push(question);
    this.#turns.push(turn);
    this.#file.add(turn, turn.messages);
    return { turn, messages: [...this.#messages, question] };
  }

  /** What came of it. Later changes of `messages` are nobody's any more. */
  end(turn: Turn, messages: ChatMessage[]): void {
    this.#messages = [...messages];
    const [question] = turn.messages;
    const at = question ? messages.indexOf(question) : -1;
    const answers = copied(at === -1 ? [] : messages.slice(at + 1));
    turn.messages.push(...answers);
    this.#file.add(turn, answers);
  }

  /** Takes a turn back, the last one by default; undefined where there is none. */
  undo(turn = this.#turns.at(-1)): Turn | undefined {
    if (!turn) return undefined;
    this.#turns = this.#turns.filter((one) => one !== turn);
    this.#messages = messagesOf(this.#turns);
    this.#file.undo(turn);
    return turn;
  }

  close(): void {
    this.#file.close();
  }
}

/** Room is made by giving messages shorter contents: the copies keep theirs. */
const copied = (messages: ChatMessage[]) => messages.map((message) => ({ ...message }));
const messagesOf = (turns: Turn[]) => turns.flatMap(({ messages }) => copied(messages));
