/** What stands in a tile without a picture: initials, and one of eight quiet colours that stays with the person. */

export const HUES = 8

/** First letters of the first and last word, whole characters of any script; '?' for nobody. */
export function initials(name: string): string {
  const words = name.trim().split(/[\s._-]+/u).filter((word) => /\p{L}|\p{N}/u.test(word))
  const first = words[0]
  if (first === undefined) return '?'
  const last = words.length > 1 ? words[words.length - 1] : undefined
  return (letter(first) + (last === undefined ? '' : letter(last))).toUpperCase()
}

function letter(word: string): string {
  return [...word].find((character) => /\p{L}|\p{N}/u.test(character)) ?? ''
}

/** The same colour for the same person in everybody's page, on whichever device: identities are `person/device`. */
export function hueOf(identity: string): number {
  let hash = 0
  for (const character of identity.replace(/\/[^/]*$/, '')) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) >>> 0
  return hash % HUES
}
