import { askTicket, endForward, findListening, listForwards, openForward, type Forward, type ForwardInput } from '../nouns/forwards.ts'
import { readSession } from '../nouns/sessions.ts'
import { openApp } from '../parts/open-app.ts'
import { Act } from './act.svelte.ts'
import { Resource } from './resource.svelte.ts'

const lookEvery = 2000
const patience = 8000

/** What the ports page holds: the session, its forwards with their live counts, and what listens on the server. */
export class Ports {
  readonly session: Resource<Awaited<ReturnType<typeof readSession>>>
  readonly forwards: Resource<Forward[]>
  readonly listening: Resource<Awaited<ReturnType<typeof findListening>>>
  readonly adding = new Act()
  readonly opening = new Act()
  readonly ending = new Act()
  /** The port or forward that a tap is busy with. */
  busyWith = $state<number | string>('')
  /** The address that a tab was sent to without arriving. */
  lost = $state('')
  private readonly id: string

  constructor(id: string) {
    this.id = id
    this.session = new Resource(() => readSession(id))
    this.forwards = new Resource(() => listForwards(id))
    this.listening = new Resource(() => findListening(id))
  }

  follow(): () => void {
    const stops = [this.session.follow('session.'), this.forwards.follow('forward.', 'session.')]
    const timer = setInterval(() => {
      if (!document.hidden && this.forwards.data?.some((f) => f.state === 'open')) void this.forwards.load()
    }, lookEvery)
    return () => {
      clearInterval(timer)
      stops.forEach((stop) => stop())
    }
  }

  add = async (input: ForwardInput): Promise<boolean> => {
    this.busyWith = input.target_port
    const made = await this.adding.run(() => openForward(this.id, input))
    if (!made) return false
    void this.forwards.load()
    if (made.kind === 'web') await this.show(made)
    return true
  }

  /** Sends a tab to the app, and looks whether it arrived: only the box can tell, the tab is another origin's. */
  show = async (forward: Forward): Promise<void> => {
    this.busyWith = forward.id
    this.lost = ''
    const opening = await this.opening.run(() => askTicket(forward))
    if (!opening) return
    openApp(opening)
    const until = Date.now() + patience
    while (Date.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 700))
      await this.forwards.load()
      const now = this.forwards.data?.find((f) => f.id === forward.id)
      if (!now || now.state === 'ended' || now.entries > forward.entries) return
    }
    this.lost = new URL(opening.url).origin
  }

  end = async (forward: Forward): Promise<boolean> => {
    this.busyWith = forward.id
    const ended = await this.ending.run(() => endForward(forward))
    if (ended) await this.forwards.load()
    return !!ended
  }
}
