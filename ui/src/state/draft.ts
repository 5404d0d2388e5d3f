import { empty, type Outbox } from '../logic/outbox.ts'

/** A line that another page wants in the composer of the session that is opened next. */
let waiting = ''

export function leaveDraft(line: string): void {
  waiting = line
}

export function takeDraft(): string {
  const line = waiting
  waiting = ''
  return line
}

const name = (conversation: string): string => `clawdbox.outbox.${conversation}`

/** What this page had in its composer before a reload, with the key of a message that may have arrived. */
export function keptOutbox(conversation: string): Outbox {
  try {
    return { ...empty(), ...(JSON.parse(sessionStorage.getItem(name(conversation)) ?? '{}') as Partial<Outbox>) }
  } catch {
    return empty()
  }
}

export function keepOutbox(conversation: string, box: Outbox): void {
  try {
    if (box.text) sessionStorage.setItem(name(conversation), JSON.stringify(box))
    else sessionStorage.removeItem(name(conversation))
  } catch {
    // Storage is blocked: the text holds until the page is closed.
  }
}
