/** Keeps `--screen-height` at what the soft keyboard leaves free: dvh alone does not shrink for it everywhere. */
export function followViewport(): void {
  const view = window.visualViewport
  if (!view) return
  const follow = () => {
    const style = document.documentElement.style
    style.setProperty('--screen-height', `${view.height}px`)
    style.setProperty('--screen-top', `${view.offsetTop}px`)
    // More than a browser bar is missing: a keyboard is up, and the home indicator is behind it.
    document.documentElement.classList.toggle('keyboard', window.innerHeight - view.height > 120)
  }
  view.addEventListener('resize', follow)
  view.addEventListener('scroll', follow)
  follow()
}
