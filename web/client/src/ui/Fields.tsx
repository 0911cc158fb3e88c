/** What people fill in or choose from. Native elements: phones and assistive technology know them best. */
import { ChevronDown } from 'lucide-react'
import { useId } from 'react'
import css from './Fields.module.css'

export interface TextFieldProps {
  label: string
  name: string
  value: string
  onChange: (value: string) => void
  type?: 'text' | 'password'
  autoComplete: string
}

export function TextField({ label, onChange, type = 'text', ...props }: TextFieldProps) {
  const id = useId()
  return (
    <div className={css.field}>
      <label className={css.label} htmlFor={id}>
        {label}
      </label>
      <input
        {...props}
        id={id}
        type={type}
        className={css.input}
        required
        spellCheck={false}
        autoCapitalize="none"
        onChange={(event) => onChange(event.target.value)}
      />
    </div>
  )
}

export interface Option {
  id: string
  name: string
}

export interface SelectProps {
  label: string
  options: Option[]
  value: string
  onChange: (id: string) => void
  /** Without frame, its label for screen readers only. */
  quiet?: boolean
}

export function Select({ label, options, value, onChange, quiet = false }: SelectProps) {
  const id = useId()
  return (
    <div className={`${css.field} ${quiet ? css.quiet : ''}`}>
      <label className={quiet ? 'visually-hidden' : css.label} htmlFor={id}>
        {label}
      </label>
      <span className={css.choice}>
        <select id={id} className={css.input} value={value} onChange={(event) => onChange(event.target.value)}>
          {options.map((option) => (
            <option key={option.id} value={option.id}>
              {option.name}
            </option>
          ))}
        </select>
        <ChevronDown size={18} aria-hidden />
      </span>
    </div>
  )
}
