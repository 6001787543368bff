# A research prototype of this project (Apache-2.0), kept exactly as its study measured it, to be measured against.
# It is no part of the controller and no example of its style, so neither lint nor formatter may change it.
# ruff: noqa
# fmt: off
"""Sequential leak detector: 'wait while waiting is cheap'.  numpy only.

1 growth is judged on floors (minimum per block), per run (between starts), over several look-back lengths D
2 an episode of growth counts if it is straight (not bending, no single step, no fall back), beats a random walk
  (self-normalised z) and stands above everything seen before it (new record)
3 Lindy rule: Leaking only if the growth so far, continued for c x D, would meet the limit  (ETA <= c D)
4 c is .75-.8 for D < 28 h (a daily limb, a tooth, a nightly batch look the same; 0-.6 for growth that began inside the
  run), 1.4 from 28 h, 2.5 from 50 h, the horizon alone from 72 h of straight growth
5 with >= 54 h of history the same clock hour of successive days is compared as well (seasons cancel); with >= 4 lives
  between starts the lives vote
"""
import numpy as np

H = 3600.0
DAY = 86400.0
MiB = 2.0 ** 20


class Detector:
    CFG = dict(target=.85, c_short=.75, c_half=.8, c_young=.6, r2_day=.987, c_mid=1.4, c_2d=2.5, c_day=1.6, c_urg=.4, d_late=7 * H, d_mid=28 * H, z=4.0, horizon=14 * DAY, warm=600.,
               late=.55, step=.34, draw=.12, r2=.93, cap_days=6.6, persist=.04)

    def __init__(self, limit_bytes=None, **kw):
        self.limit = limit_bytes
        self.c = dict(self.CFG, **kw)
        self.pend = None
        self.why = ''

    # ---- helpers
    @staticmethod
    def _blocks(t, x, w, now, f=np.minimum):
        k = np.floor((now - t) / w).astype(int)
        cut = np.flatnonzero(np.diff(k)) + 1
        i = np.r_[0, cut]
        return now - (k[i] + .5) * w, f.reduceat(x, i)

    def _episode(self, tf, f, now, D, n):
        """straight growth over the last D seconds on n block floors -> dict or None"""
        a = np.searchsorted(tf, now - D)
        tt, ff = tf[a:], f[a:]
        if len(tt) < n:
            return None
        tb, y = self._blocks(tt, ff, D / n * (1 + 1e-9), now)
        m = len(y)
        if m < .6 * n or m < 6:
            return None
        u = tb - tb.mean()
        b = (u * y).sum() / (u * u).sum()
        if b <= 0:
            return None
        r = y - y.mean() - b * u
        g = b * (tb[-1] - tb[0])
        sst = ((y - y.mean()) ** 2).sum()
        r2 = 1 - (r * r).sum() / max(sst, 1e-9)
        q = max(3, int(round(.4 * m)))
        ul = tb[-q:] - tb[-q:].mean()
        bl = (ul * y[-q:]).sum() / (ul * ul).sum()
        dy = np.diff(y)
        draw = (np.maximum.accumulate(y) - y).max() / g
        step = dy.max() / g
        e = dy - dy.mean()
        s1 = e.std()
        e2 = (y[2:] - y[:-2]); e2 = e2 - e2.mean()
        s2 = e2.std() / np.sqrt(2) if len(e2) > 3 else s1
        z = (y[-1] - y[0]) / (max(min(s1, 1.2 * s2), 1e-9) * np.sqrt(m - 1))
        return dict(D=D, b=b, bl=bl, g=g, r2=r2, late=bl / b, draw=draw, step=step, z=z, y0=y[0], y1=y[-1], n=n)

    def _shape(self, e, strict):
        c = self.c
        late = c['late'] + (.15 if strict else 0)
        return (e['late'] >= late and e['step'] <= c['step'] and e['draw'] <= c['draw'] and e['r2'] >= c['r2'] + (.03 if strict else 0)
                and e['z'] >= c['z'])

    # ---- main
    def step(self, t, rss, limit, starts, now):
        c = self.c
        t = np.asarray(t, float); x = np.asarray(rss, float)
        ok = np.isfinite(x) & (t <= now) & (t >= now - 10 * DAY)
        t, x = t[ok], x[ok]
        self.why = ''
        if len(t) < 10:
            return 'InsufficientData'
        lim = np.ravel(limit if limit is not None else (self.limit or 0))
        L = float(lim[-1]) if len(lim) and np.isfinite(lim[-1]) and lim[-1] > 0 else None
        st = np.sort(np.asarray([s for s in (starts if starts is not None else []) if s <= now], float))
        cuts = np.unique(np.searchsorted(t, st))
        cuts = cuts[(cuts > 0) & (cuts < len(t))]
        segs = list(zip(np.r_[0, cuts], np.r_[cuts, len(t)]))
        a, b = segs[-1]
        known = len(st) > 0
        r = self._run(t[a:b], x[a:b], L, now, x[:a])
        m = self._masked(t, x, segs, L, now) if len(segs) >= 4 else 'Healthy'
        if 'Leaking' in (r, m):
            key = 'L'
            if self.pend is None:
                self.pend = [now, now]
            self.pend[1] = now
            need = self.need if r == 'Leaking' else 0
            if now - self.pend[0] >= need:
                return 'Leaking'
            return 'Suspect'
        if self.pend is not None and now - self.pend[1] > 3 * H:
            self.pend = None
        if 'Suspect' in (r, m):
            return 'Suspect'
        return r

    def _run(self, t, x, L, now, before):
        c = self.c
        self.need = 0.
        if len(t) < 10 or now - t[-1] > 1800:
            return 'InsufficientData'
        age = now - t[0]
        if age < 1.5 * H:
            return 'InsufficientData'
        k = t >= t[0] + min(c['warm'], .1 * age)
        t, x = t[k], x[k]
        age = now - t[0]
        tf, f = self._blocks(t, x, 300., now)
        Lx = L or 3 * np.median(x)
        out = 'Healthy'
        Ds = sorted({age * q for q in (1., .8, .62, .48, .37, .28, .2, .14) if age * q >= 2.2 * H}, reverse=True)
        for D in Ds:
            for n in ((24, 14, 8) if D >= 6 * H else (24, 12)):
                e = self._episode(tf, f, now, D, n)
                if e is None:
                    continue
                strict = D < c['d_mid']
                if e['g'] < max(.05 * e['y0'], .01 * Lx):
                    break
                if not self._shape(e, strict):
                    continue
                # record: the newest top is above everything seen before the episode
                i = np.searchsorted(t, now - D)
                new = x[np.searchsorted(t, now - max(D / 6, 1.5 * H)):]
                top = max(e['y1'], np.percentile(new, 95)) if len(new) > 5 else e['y1']
                if i > 20 and top < np.percentile(x[:i], 98) + .25 * e['g']:
                    continue
                if L is None:
                    out = 'Suspect'
                    continue
                slope = min(e['b'], e['bl'])
                eta = (c['target'] * L - (.5 * e['y1'] + .5 * top)) / slope
                fine = e['r2'] >= .98 and e['late'] >= .8
                young = D < .75 * age                               # growth that began inside the run: a batch or limb looks the same
                straight = e['r2'] >= c['r2_day'] and e['late'] >= .85
                if D < 5 * H:
                    cc = 0. if young else c['c_short']
                elif D < c['d_mid']:
                    cc = (0. if age < 26 * H or D < c['d_late'] else c['c_young']) if young else c['c_half']
                    if not straight:
                        cc = 0. if D < 24 * H or young else c['c_young']
                elif D < 50 * H:
                    cc = c['c_mid'] if e['late'] >= .7 else .7
                else:
                    cc = c['c_2d'] if e['late'] >= .7 else 1.2
                    if D >= 72 * H and fine:
                        cc = c['horizon'] / D
                late = False
                if eta <= cc * D and e['g'] >= .12 * L and not late:
                    self.why = f"grew {e['g']/MiB:.0f} MiB in {D/H:.0f} h, limit in {eta/H:.0f} h"
                    self.need = 0 if eta < cc * D - 1.5 * H or D < 16 * H else c['persist'] * D
                    return 'Leaking'
                if eta <= c['horizon'] and D >= 6 * H and eta <= 8 * D:
                    out = 'Suspect'
        d = self._days(t, x, tf, f, L, now, age) if L else 'Healthy'
        return d if d == 'Leaking' or out == 'Healthy' else out

    def _days(self, t, x, tf, f, L, now, age):
        """same clock hour on successive days; seasons, batches and teeth that divide a day cancel"""
        c = self.c
        if age < 30 * H:
            return 'Healthy'
        best = 'Healthy'
        nh = int(age // H)
        grid = now - H * np.arange(nh)[::-1]                # hourly, ends now
        tb, y = self._blocks(t, x, H, now)
        h = np.interp(grid - .5 * H, tb, y)
        tops = self._tops(t, x, now, age)
        for w in (1, 6, 24):
            y = h if w == 1 else np.lib.stride_tricks.sliding_window_view(h, w).min(1)
            n = len(y)
            if n < 31:
                continue
            d = y[24:] - y[:-24]
            m = len(d)
            if age < 54 * H and w < 24 and m >= 6:                      # urgent: one day compared for >= 6 h
                g = np.median(d[-12:]); tot = y[-1] - y[0]
                tp = np.percentile(x[t > now - 12 * H], 95); op = np.percentile(x[t <= now - 24 * H], 98) if (t <= now - 24 * H).sum() > 20 else tp
                st3 = (y[3:] - y[:-3]).max() / max(tot, 1)
                tgt = (c['target'] * L - max(tp, y[-1])) / max(g / DAY, 1e-9)
                if g > .12 * L and d.min() > .5 * g and st3 < .45 and tgt <= c['c_urg'] * age and tp > op + .25 * g:
                    self.why = f'same hour as yesterday: +{g/MiB:.0f} MiB, limit in {tgt/H:.0f} h'
                    self.need = 0.
                    return 'Leaking'
            if m < 28 or n < 54 - 24 * (w == 24):
                continue
            med = np.median(d[-24:])
            if med <= max(.025 * np.median(y[-24:]), .004 * L):
                continue
            # how long has every day-over-day difference stayed up?
            pos = d > .2 * med
            run = 0; bad = 0
            for v in pos[::-1]:
                bad += not v
                if bad > .1 * (run + 10):
                    break
                run += 1
            conf = run * H                                  # confirmed duration of day-over-day growth
            if run < 28:
                continue
            prev = d[-48:-24] if m >= 48 else d[:-24]
            cur = d[-24:][-len(prev):] if m < 48 else d[-24:]
            if np.median(cur) < .6 * np.median(prev):
                continue
            slope = min(med, np.median(cur)) / DAY
            # one step: most of the growth in 3 hours
            tot = y[-1] - y[max(0, n - 1 - run - 24)]
            dd = (y[3:] - y[:-3])[-(run + 24):]
            if w == 24 and dd.max() > .6 * max(tot, 1):
                continue
            # record of the day's top against all earlier days
            if len(tops) < 2 or tops[0] < max(tops[1:]):
                continue
            # random walk: day differences against hourly roughness of the deseasonalised floor
            e = np.diff(d); v = e - e.mean()
            bl = [d[i + 6] - d[i] for i in range(0, m - 6, 3)]
            s6 = np.sqrt(np.mean(np.square(bl)) / 12) if len(bl) > 3 else v.std()   # per sqrt(hour), d holds 2 walks
            z = (y[-1] - y[-1 - min(n - 1, run + 24)]) / max(s6 * np.sqrt(min(n - 1, run + 24)), 1e-9)
            if z < c['z'] - .5:
                continue
            # traffic: growth proportional to the level (peaks grow more than floors)
            lev = y[-48:-24]; dl = d[-24:]
            o = np.argsort(lev); lo3, hi3 = np.median(dl[o[:8]]), np.median(dl[o[-8:]])
            amp = np.median(lev[o[-8:]]) - np.median(lev[o[:8]])
            if amp > 1.5 * med and lo3 < .6 * hi3:
                best = 'Suspect'
                continue
            eta = (c['target'] * L - np.percentile(y[-24:], 80)) / slope
            if eta > c['horizon'] * 2:
                continue
            if eta <= c['c_day'] * (conf + DAY) or conf + DAY >= c['cap_days'] * DAY and eta <= c['horizon']:
                self.need = 2 * H
                self.why = f"same hour, day over day: +{med/MiB:.0f} MiB a day for {conf/H+24:.0f} h"
                return 'Leaking'
            best = 'Suspect'
        return best

    @staticmethod
    def _tops(t, x, now, age):
        e = np.searchsorted(t, now - DAY * np.arange(int(age // DAY) + 1), side='right')
        return [np.percentile(x[b:a], 95) for a, b in zip(e[:-1], e[1:]) if a - b > 30]

    def _masked(self, t, x, segs, L, now):
        """each life between starts grows straight and the start resets it"""
        up = tot = 0; gs = []; durs = []
        for j, (a, b) in enumerate(segs):
            tt, y = t[a:b], x[a:b]
            if b - a < 20 or tt[-1] - tt[0] < 2400:
                continue
            if j == len(segs) - 1 and tt[-1] - tt[0] < (np.median(durs) * .6 if durs else 1e9):
                continue
            D = tt[-1] - tt[0]; k = tt >= tt[0] + max(900., .1 * D)
            tb, yb = self._blocks(tt[k], y[k], max(D / 14, 120.), tt[-1])
            if len(yb) < 8:
                continue
            u = tb - tb.mean(); bb = (u * yb).sum() / (u * u).sum(); g = bb * (tb[-1] - tb[0])
            r2 = 1 - ((yb - yb.mean() - bb * u) ** 2).sum() / max(((yb - yb.mean()) ** 2).sum(), 1e-9)
            q = len(yb) // 2; bl = np.polyfit(u[-q:], yb[-q:], 1)[0]
            reset = True
            if j + 1 < len(segs):
                nx = x[segs[j + 1][0]:segs[j + 1][1]]
                reset = len(nx) > 3 and np.median(nx[1:4]) < yb[-1] - .6 * g
            durs.append(D); tot += 1
            good = bb > 0 and r2 > .8 and bl > .6 * bb and g > .06 * yb[0] and reset
            up += good; gs.append(g / yb[0] if good else 0.)
        self.mask = (up, tot)
        if tot < 4:
            return 'Healthy'
        med = np.median(gs)
        if up >= max(4, .8 * tot) and (med > .3 or up >= 8 and med > .08):
            self.why = f'{up} of {tot} lives between starts grew straight by {100*med:.0f} % and the start reset it'
            return 'Leaking'
        return 'Suspect' if up >= .6 * tot and up >= 3 else 'Healthy'
