import { Live, type LinkState } from '../live.ts'
import { leavesHole, take, transcript, type ConversationEvent } from '../logic/transcript.ts'
import { cancelTurn, livePath, readEvents, say } from '../nouns/conversations.ts'
import type { Problem } from '../api.ts'
import { leave } from './box.svelte.ts'
import { asProblem } from './resource.svelte.ts'

/** One conversation as this page sees it: its history first, then what comes in, each event once and in order. */
export class Conversation {
  t = $state(transcript())
  link = $state<LinkState>('connecting')
  loaded = $state(false)
  problem = $state.raw<Problem | null>(null)
  private queue: ConversationEvent[] = []
  private pumping = false
  private askedAfter = -1
  private live: Live | null = null
  private stopped = false
  readonly id: string

  constructor(id: string) {
    this.id = id
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
      onState: (state) => (this.link = state),
      onEnd: (code) => code === 4401 && leave(),
      onText: (message) => {
        if (message.type !== 'event') return
        this.queue.push(message.event as ConversationEvent)
        this.pump()
      },
    })
  }

  say = (text: string) => say(this.id, text)
  cancel = (turn: string) => cancelTurn(this.id, turn)
  retry = (): void => this.live?.retry()

  stop(): void {
    this.stopped = true
    this.live?.close()
  }

  private async catchUp(): Promise<void> {
    for (;;) {
      const page = await readEvents(this.id, this.t.last)
      for (const event of page.events) take(this.t, event)
      if (!page.has_more || !page.events.length || this.stopped) return
    }
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
        take(this.t, event)
      }
      this.pumping = false
    }, 30)
  }
}
