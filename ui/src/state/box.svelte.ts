import { onLoginEnded, Problem, useLogin } from '../api.ts'
import { me, type Me } from '../nouns/logins.ts'
import { startEvents, stopEvents } from './events.svelte.ts'
import { go, here } from './router.svelte.ts'

const box = $state<{ me: Me | null; problem: Problem | null }>({ me: null, problem: null })
let wanted = '/'

export const who = (): Me | null => box.me
export const boxProblem = (): Problem | null => box.problem

export async function enter(): Promise<void> {
  box.problem = null
  try {
    box.me = await me()
    useLogin(box.me.csrf_token)
    startEvents()
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    if (error.code !== 'login_required') box.problem = error
  }
}

/** After pairing: in, and on to the page that was asked for before. */
export async function arrive(): Promise<void> {
  await enter()
  go(wanted, true)
  wanted = '/'
}

/** The login is gone: signed out, revoked, expired or never there. */
export function leave(comeBackTo = location.pathname): void {
  stopEvents()
  useLogin('')
  box.me = null
  if (here().name === 'pair') return
  wanted = comeBackTo
  go('/pair', true)
}

export function recoveryWordsShown(): void {
  if (box.me) box.me.box.recovery_words_pending = false
}

onLoginEnded(() => leave())
