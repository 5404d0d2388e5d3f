import type { Terminal } from '@xterm/xterm'

/** A finger scrolls the history; where a program has the whole screen (a pager, tmux) it becomes the wheel it expects. */
export function touchScroll(host: HTMLElement, term: Terminal): void {
  let last = 0
  let rest = 0
  const scroll = (lines: number, at: Touch) => {
    const own = term.buffer.active.type === 'normal' && term.modes.mouseTrackingMode === 'none'
    if (own) return term.scrollLines(lines)
    const { clientX, clientY } = at
    const wheel = new WheelEvent('wheel', { deltaY: lines, deltaMode: 1, clientX, clientY, bubbles: true, cancelable: true })
    host.querySelector('.xterm-screen')?.dispatchEvent(wheel)
  }
  const start = (event: TouchEvent) => {
    last = event.touches[0]?.clientY ?? 0
    rest = 0
  }
  const move = (event: TouchEvent) => {
    const touch = event.touches[0]
    if (!touch || event.touches.length > 1) return
    event.preventDefault()
    rest += last - touch.clientY
    last = touch.clientY
    const height = host.clientHeight / term.rows
    const lines = Math.trunc(rest / height)
    rest -= lines * height
    if (lines) scroll(lines, touch)
  }
  host.addEventListener('touchstart', start, { passive: true })
  host.addEventListener('touchmove', move, { passive: false })
}
