import { Live, type LinkState } from '../live.ts'
import { uuid } from '../logic/ids.ts'
import { arrived, empty, sending, written, type Outbox } from '../logic/outbox.ts'
import { leavesHole, take, transcript, type ConversationEvent } from '../logic/transcript.ts'
import { cancelTurn, livePath, readEvents, say } from '../nouns/conversations.ts'
import type { Problem } from '../api.ts'
import { leave } from './box.svelte.ts'
import { keepOutbox, keptOutbox, takeDraft } from './draft.ts'
import { asProblem } from './resource.svelte.ts'

/** One conversation as this page sees it: its history first, then what comes in, each event once and in order. */
export class Conversation {
  t = $state(transcript())
  link = $state<LinkState>('connecting')
  loaded = $state(false)
  problem = $state.raw<Problem | null>(null)
  outbox = $state.raw<Outbox>(empty())
  private queue: ConversationEvent[] = []
  private pumping = false
  private askedAfter = -1
  private live: Live | null = null
  private stopped = false
  readonly id: string

  constructor(id: string) {
    this.id = id
    this.outbox = keptOutbox(id)
    const draft = takeDraft()
    if (draft) this.write(draft)
    void this.load()
  }

  load = async (): Promise<void> => {
    this.problem = null
    try {
      await this.catchUp()
    } catch (error) {
      this.problem = asProblem(error)
      return
    }
    if (this.stopped) return
    this.loaded = true
    this.live = new Live({
      path: () => livePath(this.id, this.t.last),
      looks: true,
      onState: (state) => (this.link = state),
      onEnd: (code) => code === 4401 && leave(),
      onText: (message) => {
        if (message.type !== 'event') return
        this.queue.push(message.event as ConversationEvent)
        this.pump()
      },
    })
  }

  write(text: string): void {
    this.keep(written(this.outbox, text))
  }

  /** What is in the composer stays there until the box has it, and a retry is the same message. */
  async say(): Promise<void> {
    const out = sending(this.outbox, uuid(), this.t.last)
    this.keep(out)
    await say(this.id, out.text.trim(), out.key)
    if (this.outbox.key === out.key) this.keep(empty())
  }

  cancel = (turn: string) => cancelTurn(this.id, turn)
  retry = (): void => this.live?.retry()

  stop(): void {
    this.stopped = true
    this.live?.close()
  }

  private keep(box: Outbox): void {
    this.outbox = box
    keepOutbox(this.id, box)
  }

  private async catchUp(): Promise<void> {
    for (;;) {
      const page = await readEvents(this.id, this.t.last)
      for (const event of page.events) this.take(event)
      if (!page.has_more || !page.events.length || this.stopped) return
    }
  }

  private take(event: ConversationEvent): void {
    const known = event.seq <= this.t.last
    take(this.t, event)
    // A message whose answer was lost on the way shows up here: then nobody needs to send it again.
    if (!known && event.type === 'turn.started' && arrived(this.outbox, String(event.payload.text ?? ''), event.seq)) this.keep(empty())
  }

  /** Takes what came in together, so that a flood of output is drawn in few strokes. */
  private pump(): void {
    if (this.pumping) return
    this.pumping = true
    setTimeout(async () => {
      for (let event = this.queue.shift(); event; event = this.queue.shift()) {
        // A hole is asked for once before it is shown as one.
        if (leavesHole(this.t, event) && this.askedAfter !== this.t.last) {
          this.askedAfter = this.t.last
          await this.catchUp().catch(() => {})
        }
        this.take(event)
      }
      this.pumping = false
    }, 30)
  }
}
