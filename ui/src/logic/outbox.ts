/** What a person wants to say and has not got through yet. A retry keeps its key, so that it is one turn. */
export interface Outbox {
  text: string
  /** Empty until it was sent once; then nobody knows whether it arrived. */
  key: string
  /** The conversation's last event when it was sent first: what came before is not this message. */
  after: number
}

export const empty = (): Outbox => ({ text: '', key: '', after: 0 })

/** Another text is another message. */
export const written = (box: Outbox, text: string): Outbox => (text === box.text ? box : { ...empty(), text })

/** Ready to go: under the key of the try before, or a new one. */
export const sending = (box: Outbox, fresh: string, last: number): Outbox => (box.key ? box : { ...box, key: fresh, after: last })

/** Whether this turn is what was given up on: it has arrived after all. */
export const arrived = (box: Outbox, said: string, seq: number): boolean =>
  !!box.key && seq > box.after && box.text.trim() === said.trim()
