/** F6 walks through the parts of the call: banners, stage, side panel, control bar. */

const FOCUSABLE = 'button:not(:disabled), a[href], textarea, input, select, [tabindex]'

export function nextRegion(document: Document): void {
  const regions = [...document.querySelectorAll<HTMLElement>('[data-region]')].filter((region) => entry(region) !== null)
  const here = regions.findIndex((region) => region.contains(document.activeElement))
  const region = regions[(here + 1) % Math.max(regions.length, 1)]
  if (region !== undefined) entry(region)?.focus()
}

/** The region itself if it can take the focus, else the first thing in it that can. */
function entry(region: HTMLElement): HTMLElement | null {
  return region.hasAttribute('tabindex') ? region : region.querySelector<HTMLElement>(FOCUSABLE)
}
