import { Live, type LinkState } from '../live.ts'
import { Problem } from '../api.ts'
import { statsPath, type Sample } from '../nouns/stats.ts'
import { leave } from './box.svelte.ts'

const most = 300

/** The figures of a server while a page shows them. The box stops asking the server when the last page has gone. */
export class ServerFeed {
  samples = $state.raw<Sample[]>([])
  problem = $state.raw<Problem | null>(null)
  link = $state<LinkState>('connecting')
  over = $state(false)
  private readonly live: Live

  constructor(session: string) {
    this.live = new Live({
      path: () => statsPath(session),
      onState: (state) => (this.link = state),
      onEnd: (code) => (code === 4401 ? leave() : (this.over = true)),
      onText: (message) => {
        if (message.type === 'ready') this.samples = message.history as Sample[]
        if (message.type === 'sample') this.samples = [...this.samples, message.sample as Sample].slice(-most)
        if (message.type === 'problem') {
          const data = message.problem as Record<string, unknown>
          this.problem = new Problem(Number(data.status), String(data.code), String(data.detail), data)
        } else if (message.type === 'sample') this.problem = null
      },
    })
  }

  stop(): void {
    this.live.close()
  }
}
