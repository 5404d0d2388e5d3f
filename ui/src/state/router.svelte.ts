import { tick } from 'svelte'
import { place, type Place } from '../logic/routes.ts'

// A few fixed pages and a few with an id need no routing library: this is all of it.
const router = $state({ path: location.pathname })

export const here = (): Place => place(router.path)

/** Of the pages that may lead to this one (`known`), the one that did; else `otherwise`. For a page's “Back”. */
export function cameFrom<T>(known: RegExp, otherwise: T): string | T {
  const from: unknown = (history.state as { from?: unknown } | null)?.from
  return typeof from === 'string' && known.test(from) ? from : otherwise
}

/** From a tool of a session back to it, and there to the view that was open. */
export const backToSession = (id: string): string => cameFrom(new RegExp(`^/sessions/${id}(#.*)?$`), `/sessions/${id}`)

export function go(path: string, replace = false): void {
  if (replace) history.replaceState(history.state, '', path)
  else history.pushState({ from: location.pathname + location.hash }, '', path)
  router.path = location.pathname
  scrollTo(0, 0)
  // The link that led here is gone: a keyboard and a screen reader go on from the top of the new page.
  void tick().then(() => document.getElementById('main')?.focus({ preventScroll: true }))
}

addEventListener('popstate', () => (router.path = location.pathname))

document.addEventListener('click', (event) => {
  const link = (event.target as Element).closest?.('a')
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey
  if (!link || !plain || event.defaultPrevented || link.target || link.hasAttribute('download')) return
  if (link.origin !== location.origin || link.pathname.startsWith('/schema')) return
  if (link.hash && link.pathname === location.pathname) return
  event.preventDefault()
  go(link.pathname + link.search + link.hash)
})
