/** A person without a picture: initials on a quiet colour of their own. */
import { hueOf, initials } from '../call/names'
import css from './Avatar.module.css'

export function Avatar({ name, identity, small = false }: { name: string; identity: string; small?: boolean }) {
  return (
    <span className={`${css.avatar} ${small ? css.small : ''}`} data-hue={hueOf(identity)} aria-hidden="true">
      {initials(name)}
    </span>
  )
}
