import type { Attachment } from 'svelte/attachments'

const near = 48

/** Keeps a scroller at its bottom while it grows, until a person scrolls up. `tell(false)`: something new is below. */
export function stick(tell: (atBottom: boolean) => void): Attachment<HTMLElement> {
  return (scroller) => {
    let pinned = true
    let top = 0
    let height = scroller.scrollHeight
    const below = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight
    const onscroll = () => {
      // Growth also leaves the bottom behind; only a way upwards is a person's wish.
      if (below() < near) pinned = true
      else if (scroller.scrollTop < top - 2) pinned = false
      top = scroller.scrollTop
      if (pinned) tell(true)
    }
    const follow = () => {
      const grew = scroller.scrollHeight > height
      height = scroller.scrollHeight
      if (pinned) {
        scroller.scrollTop = height
        // What shrank has moved it up, too: that is nobody's wish.
        top = scroller.scrollTop
      } else if (grew) tell(false)
    }
    const watch = new ResizeObserver(follow)
    watch.observe(scroller)
    for (const child of scroller.children) watch.observe(child)
    scroller.addEventListener('scroll', onscroll, { passive: true })
    follow()
    return () => {
      watch.disconnect()
      scroller.removeEventListener('scroll', onscroll)
    }
  }
}
