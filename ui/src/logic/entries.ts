import type { ScreenText } from './screen-text.ts'

/** What a conversation is made of, as a page shows it: each kind has a part of its own. */
export type Entry =
  | You
  | Words
  | Thought
  | Plan
  | Tool
  | Command
  | Refused
  | Asked
  | RevertNote
  | Card
  | ({ kind: 'usage'; key: string } & Spent)
  | { kind: 'outcome'; key: string; state: string; error: string }
  | { kind: 'stopped'; key: string; at: string }
  | { kind: 'lease'; key: string; started: boolean; reason: string; detail: string; at: string }
  | { kind: 'gap'; key: string; from: number; to: number }

export interface You {
  kind: 'you'
  key: string
  text: string
  at: string
  turn: string | null
  /** The agent has it; before that the box has it. */
  delivered: boolean
}
export interface Words {
  kind: 'text'
  key: string
  text: string
  turn: string | null
}
export interface Thought {
  kind: 'thought'
  key: string
  text: string
  turn: string | null
  at: string
  /** How long it lasted; null while it goes on. */
  ms: number | null
}
export interface Step {
  text: string
  status: string
}
export interface Plan {
  kind: 'plan'
  key: string
  steps: Step[]
}
/** What an agent does with a tool of its own. */
export interface Tool {
  kind: 'tool'
  key: string
  title: string
  tool: string
  status: string
  detail: string
}
export interface Output {
  stream: 'stdout' | 'stderr'
  screen: ScreenText
  /** Bytes that are no text. They are kept for a download and never drawn. */
  binary: Uint8Array<ArrayBuffer>[]
}
export interface Command {
  kind: 'command'
  key: string
  command: string
  title: string
  /** Why an agent wants it, in its own words; empty for what a person or a recipe runs. */
  reason: string
  class: string
  outputs: Output[]
  state: 'running' | 'done' | 'lost' | 'cancelled' | 'timed_out'
  exit: number | null
  ms: number
  truncated: boolean
  at: string
}
/** A command that was never run, and why. */
export interface Refused {
  kind: 'refused'
  key: string
  title: string
  command: string
  class: string
  why: string
}
/** A question to a person, as the conversation tells of it; the inbox knows more. */
export interface Asked {
  kind: 'approval'
  key: string
  /** `command`, `file` or `question`. */
  about: string
  title: string
  command: string
  class: string
  expires: string | null
  state: 'pending' | 'allowed' | 'denied' | 'expired' | 'void'
  /** `person`, `grant` or `nobody`. */
  by: string
}
/** A change that the server undoes by itself unless somebody says that they are still in. */
export interface RevertNote {
  kind: 'revert'
  key: string
  what: string
  state: string
  due: string | null
}
export type Status = 'ok' | 'warn' | 'bad' | 'info'
export interface CardRow {
  label: string
  value: string
  status: Status
  percent: number | null
}
export interface Card {
  kind: 'card'
  key: string
  title: string
  status: Status
  summary: string
  rows: CardRow[]
}
/** Tokens and money of a turn, where the agent tells. */
export interface Spent {
  input: number | null
  output: number | null
  cost: number | null
}
