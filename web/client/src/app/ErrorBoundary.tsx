/** A fault of the page itself still leaves the person with a sentence and a way out. */
import type { ReactNode } from 'react'
import { Component } from 'react'
import { t } from 'i18next'
import { Button } from '../ui/Button'
import { Card, Page } from '../ui/Page'

export class ErrorBoundary extends Component<{ inWidget: boolean; children: ReactNode }, { failed: boolean }> {
  override state = { failed: false }

  static getDerivedStateFromError(): { failed: boolean } {
    return { failed: true }
  }

  override render(): ReactNode {
    if (!this.state.failed) return this.props.children
    return (
      <Page inWidget={this.props.inWidget}>
        <Card>
          <h1>{t('problem:page_failed_title')}</h1>
          <p>{t('problem:page_failed_text')}</p>
          <Button tone="primary" main onPress={() => location.reload()}>
            {t('reload')}
          </Button>
        </Card>
      </Page>
    )
  }
}
