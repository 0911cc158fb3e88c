/** The local sign-in of servers that run --dev. Real ones never show it. */
import type { FormEvent } from 'react'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { useFlow } from '../../app/context'
import type { Problem } from '../../app/screens'
import { Button } from '../../ui/Button'
import { TextField } from '../../ui/Fields'
import { Card, Page, Remark } from '../../ui/Page'
import { Title } from '../../ui/Title'
import { useSentence } from '../problem/sentence'
import css from './SignIn.module.css'

export function SignIn({ busy, problem }: { busy: boolean; problem: Problem | null }) {
  const { t } = useTranslation()
  const flow = useFlow()
  const sentence = useSentence()
  const [user, setUser] = useState('')
  const [password, setPassword] = useState('')
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (!busy) void flow.signIn(user.trim(), password)
  }
  return (
    <Page inWidget={flow.inWidget}>
      <Card>
        <Title className={css.title}>{t('sign_in_title')}</Title>
        <Remark>{t('sign_in_dev')}</Remark>
        <form className={css.form} onSubmit={submit}>
          <TextField label={t('sign_in_user')} name="user" value={user} onChange={setUser} autoComplete="username" />
          <TextField label={t('sign_in_password')} name="password" type="password" value={password} onChange={setPassword} autoComplete="current-password" />
          {problem !== null && (
            <Remark tone="danger">
              <p role="alert">{sentence(problem).text}</p>
            </Remark>
          )}
          <Button type="submit" tone="primary" main isDisabled={busy}>
            {busy ? t('sign_in_busy') : t('sign_in')}
          </Button>
        </form>
      </Card>
    </Page>
  )
}
