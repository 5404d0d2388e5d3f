/** A finger that moves becomes a wheel, which xterm.js gives to the history, to a pager or to tmux as each expects it. */
export function touchScroll(host: HTMLElement): void {
  let last = 0
  let rest = 0
  host.addEventListener('touchstart', (e) => ((last = e.touches[0]?.clientY ?? 0), (rest = 0)), { passive: true })
  host.addEventListener('touchmove', (e) => {
    const touch = e.touches[0]
    if (!touch || e.touches.length > 1) return
    e.preventDefault()
    rest += last - touch.clientY
    last = touch.clientY
    const lines = Math.trunc(rest / 16)
    if (!lines) return
    rest -= lines * 16
    const target = host.querySelector('.xterm-screen') ?? host
    const { clientX, clientY } = touch
    target.dispatchEvent(new WheelEvent('wheel', { deltaY: lines, deltaMode: 1, clientX, clientY, bubbles: true, cancelable: true }))
  }, { passive: false })
}
