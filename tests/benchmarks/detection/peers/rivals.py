# A research prototype of this project (Apache-2.0), kept exactly as its study measured it, to be measured against.
# It is no part of the controller and no example of its style, so neither lint nor formatter may change it.
# ruff: noqa
# fmt: off
"""Leak detector for repeated looks. numpy only.
Leaking iff  memory that is never given back (R) rose in all parts of the lookback A, still rises, no bounded explanation
(saturation, own history, same hour of earlier days, limit change) predicts better, and  ETA(0.7 limit) <= kappa(evidence)*A."""
import numpy as np
H, DAY = 3600., 86400.
CFG = dict(warm=600., grid=600., parts=6, share=5, tval=3.0, tail=.35, mat=.05, mat_abs=4*2**20, mat_lim=.02,
           k_run=.12, k_hist=.2, k_day=(.1, .2, .35, 1.0), k_masked=.5, k_sus=1., goal=.7, min_age=2*H, lim_age=12*H,
           novel=2.0, confirm=2, sat=.65, nats=.7, nats_day=0.)

def grid_min(t, v, w, t0, n):
    """block minima / maxima on a regular grid from t0; NaN where empty."""
    k = ((t - t0) / w).astype(int); ok = (k >= 0) & (k < n); k, x = k[ok], v[ok]
    lo = np.full(n, np.inf); hi = np.full(n, -np.inf)
    if len(k):
        c = np.flatnonzero(np.r_[True, k[1:] != k[:-1]]); lo[k[c]] = np.minimum.reduceat(x, c); hi[k[c]] = np.maximum.reduceat(x, c)
    lo[~np.isfinite(lo)] = np.nan; hi[~np.isfinite(hi)] = np.nan
    return lo, hi

def fill(y):
    k = np.isfinite(y)
    return np.interp(np.arange(len(y)), np.flatnonzero(k), y[k]) if k.any() else y

PH = 2 * np.pi * np.arange(24) / 24
def rivals(y, w, age0, lim, limb=True):
    """Growth models against bounded models on the floors. Returns (evidence in nats for growth, where the best bounded model
    stops, its name). All two-parameter fits y = a + c f(age), c >= 0; bounded ones must stop below the limit."""
    n = len(y); x = age0 + w * np.arange(n); A = x[-1] - x[0]; s = y - y.mean(); sst = s @ s
    def fit(F):                                                            # F: models x n
        m = F.mean(1, keepdims=True); G = F - m; q = np.maximum(G @ s / np.maximum((G * G).sum(1), 1e-30), 0)
        return sst - q * q * (G * G).sum(1), q, y.mean() - q * m[:, 0]
    x0 = max(x[0], w); xx = np.maximum(x, w); u = (x - x[0]) / A
    grow = np.stack([u, np.sqrt(xx), xx ** .75, u * u, np.expm1(2 * u), np.expm1(4 * u), np.maximum(u - .2, 0), np.maximum(u - .4, 0)])
    tau = np.array([.1, .2, .3, .45, .65, .9, 1.3]); ef = 1 - np.exp(-u[None] / tau[:, None])
    lg = np.log(xx[None] / np.array([300., 1800., 7200.])[:, None] + 1)
    ls = 1 / (1 + np.exp(-(u[None] - np.array([.3, .5, .7, .5])[:, None]) / np.array([.12, .12, .12, .2])[:, None]))
    sg, _, _ = fit(grow); best = [(1e300, np.inf, '')]
    for nm, F, top in (('saturating', ef, 1.), ('log', lg, lg[:, -1] + np.log(4)), ('logistic', ls, 1.)):
        r, q, a = fit(F); end = a + q * top; k = end < .97 * lim
        if k.any(): i = np.argmin(np.where(k, r, 1e300)); best.append((r[i], end[i], nm))
    if limb and A < 1.6 * DAY:                                                      # part of a day seen: the rising limb of a daily cycle
        F = np.sin(2 * np.pi * x[None] / DAY + PH[:, None]); r, q, a = fit(F); k = (a + q < .97 * lim) & (a - q > .2 * y.mean())
        if k.any(): i = np.argmin(np.where(k, r, 1e300)); best.append((r[i], a[i] + q[i], 'daily limb'))
    rb, end, nm = min(best); rg = sg.min(); floor = n * (.0015 * y.mean()) ** 2
    i = int(np.argmin(sg)); G = grow[i] - grow[i].mean(); e = s - G * max(G @ s / (G @ G), 0)
    rho = min(max((e[1:] @ e[:-1]) / max(e @ e, 1e-30), 0), .97); ne = max(n * (1 - rho) / (1 + rho), 3.)
    return .5 * ne * np.log((rb + floor) / (rg + floor)), end, nm

class Detector:
    def __init__(self, limit_bytes=None, **kw):
        self.limit = limit_bytes; self.c = dict(CFG, **kw); self.hits = 0; self.last_limit = None; self.lim_t = -np.inf; self.why = ''

    # ---- one window: is the retained floor rising in every part? returns dict or None
    def window(self, y, w, lim, base, age0=0., limb=True):
        c = self.c; n = len(y); K = c['parts']
        if n < 2 * K: return None
        R = np.minimum.accumulate(y[::-1])[::-1]
        e = np.linspace(0, n - 1, K + 1).astype(int); g = np.diff(R[e])
        g[-1] = min(g[-1], 2 * max(g[:-1].mean(), 0))                      # the last part may hold an unfinished tooth
        G = g.sum(); A = (n - 1) * w
        if G <= max(c['mat'] * base, c['mat_abs'], c['mat_lim'] * lim): return dict(ok=False, why='small', G=G, A=A, b=0)
        m = g.mean(); t = m * np.sqrt(K) / max(g.std(ddof=1), 1e-9)
        share = (g >= .2 * m).sum(); tail = g[-K // 3:].mean() / m
        d = dict(G=G, A=A, t=t, share=share, tail=tail, b=max(min(m, 1e18), g[-2:].mean()) * K / A, why='')
        d['ok'] = bool(share >= c['share'] and t >= c['tval'] and tail >= c['tail'])
        if not d['ok']: d['why'] = 'parts'; return d
        d['lr'], d['asym'], d['model'] = rivals(y, w, age0, lim, limb)
        return d

    def step(self, t, rss, limit, starts, now):
        c = self.c; t = np.asarray(t, float); v = np.asarray(rss, float); k = np.isfinite(v) & (t <= now); t, v = t[k], v[k]
        L = np.asarray(limit if limit is not None else (self.limit or np.nan), float); lim = float(L.flat[-1])
        if self.last_limit is not None and abs(lim - self.last_limit) > .01 * lim: self.lim_t = now
        if L.size > 1 and L.size == len(k):
            ch = np.flatnonzero(np.abs(np.diff(L[k])) > .01 * lim)
            if len(ch): self.lim_t = max(t[ch[-1] + 1], 0)
        self.last_limit = lim
        if len(t) < 20: return 'InsufficientData'
        if not np.isfinite(lim) or lim <= 0: lim = 2 * v.max()
        st = np.asarray(starts if starts is not None else [], float); st = st[(st > t[0] + 60) & (st <= now)]
        r0 = max(t[0], st[-1] if len(st) else -np.inf)
        verdict, why = self.run(t, v, r0, lim, now)
        if verdict != 'Leaking' and len(st) >= 3:
            m = self.masked(t, v, st, lim, now)
            if m: 
                if m[0] == 'Leaking' or verdict in ('InsufficientData', 'Healthy'): verdict, why = m
        self.hits = self.hits + 1 if verdict == 'Leaking' else 0
        self.why = why
        return 'Suspect' if verdict == 'Leaking' and self.hits < c['confirm'] and 'now' not in why else verdict

    def run(self, t, v, r0, lim, now):
        c = self.c; a0 = r0 + c['warm']; lim_age = now - self.lim_t
        if lim_age < 10 * DAY and self.lim_t > r0: a0 = self.lim_t + c['warm']
        A = now - a0
        if A < c['min_age']: return 'InsufficientData', 'run too young'
        w = max(c['grid'], A / 400); n = int(A / w) + 1; w = A / n
        lo, hi = grid_min(t, v, w, a0, n)
        if np.isfinite(lo).mean() < .5: return 'InsufficientData', 'gaps'
        y, z = fill(lo), fill(hi); base = np.median(y); ph = lambda h: max(1, int(round(h * H / w)))
        crest = z[-ph(min(24, A / H / 3)):].max() if A >= 2 * DAY else z[-max(2, n // 6):].max()
        goal = c['goal'] * lim
        if crest >= goal: goal = .95 * lim                                   # haste no longer buys anything
        out = ('Healthy', 'no retained growth'); sus = False
        def act(d, kap, tag, extra=0.):
            nonlocal sus
            eta = max(goal - crest, 0) / d['b'] if d['b'] > 0 else np.inf
            if d.get('lr', 99.) < c['nats']: sus = sus or d["lr"] > -1; self.rival = d['model']; return None      # a bounded rival explains it as well
            if eta <= kap * d['A']: return 'Leaking', '%s: %.0f MiB kept in %.1f h, crest reaches %.0f%% of limit in %.1f h (allowed %.2f x seen)' % (tag, d['G']/2**20, d['A']/H, 100*c['goal'], eta/H, kap) + (' now' if eta < 1.5 * H else '')
            if eta <= c['k_sus'] * max(1, kap) * d['A'] and d['A'] >= 3 * H: sus = True
            return None
        young = lim_age < c['lim_age'] and self.lim_t > r0
        # 1 whole run
        sk = int(.1 * n); d = self.window(y[sk:], w, lim, base, sk * w + c['warm'])
        if d and d['ok']:
            a = act(d, c['k_run'], 'run')
            if a and not young: return a
        # 2 late onset: last part of the run against the run's own history
        for f in (.5, .35, .25, .17):
            m = int(f * n)
            if m * w < 3 * H: break
            if (n - m) * w < (DAY if m * w < 12 * H else m * w): continue      # history must have seen a whole day
            d = self.window(y[-m:], w, lim, base, 0., (n - m) * w < 1.5 * DAY)
            if d and d['ok']:
                old = y[max(sk, 0):n - m]; 
                if len(old) < m // 2: continue
                s = min(m, len(old) - 1); ris = old[s:] - np.minimum.accumulate(old)[:-s] if len(old) > s else np.zeros(1)
                past = max(np.ptp(np.minimum.accumulate(old[::-1])[::-1]) if False else 0, ris.max() if len(ris) else 0, np.percentile(old, 98) - np.percentile(old, 10))
                if d['G'] >= c['novel'] * past and y[-max(2, m // 8):].min() > old.max():
                    a = act(d, c['k_hist'], 'late onset')
                    if a and not young: return a
        # 3 same hour of earlier days
        nd = int(A // DAY)
        if nd >= 2:
            q = 48; wd = DAY / q; lo2, _ = grid_min(t, v, wd, now - nd * DAY, nd * q); Y = fill(lo2)
            R = np.lib.stride_tricks.sliding_window_view(np.r_[np.full(5, Y[0]), Y], 6).min(1).reshape(nd, q)   # trailing 3 h floor
            D = np.diff(R, axis=0); med = np.median(D, 1); pos = (D > 0).mean(1); mn = np.diff(R.min(1)); use = slice(-min(nd - 1, 6), None)
            MED, POS, MN = med[use], pos[use], mn[use]
            for P in sorted({len(MED), 1, 2, 3, 4}, reverse=True):                # all days, then only the newest ones (late onset)
                if P > len(MED): continue
                med, pos, mn, old = MED[-P:], POS[-P:], MN[-P:], MED[:-P]; b = med.mean(); tot = R[-1].mean() - R[-1 - P].mean()
                if b <= 0: continue
                if P < len(MED) and np.abs(old).max() > .4 * b: continue          # the older days must show that it used not to grow
                rising = (pos >= .8) & (mn > 0); flat = np.abs(med) <= .15 * b
                tv = b * np.sqrt(P) / max(med.std(ddof=1), 1e-9) if P > 1 else 9.
                if not (med[-1] >= c['tail'] * b and rising[-1] and (rising | flat).all() and rising.mean() >= .6 and (P < 2 or tv >= 2)
                        and tot >= max(c['mat'] * base, c['mat_abs'], c['mat_lim'] * lim)): continue
                kap = c['k_day'][0 if P < 2 else 1 if P < 3 else 2 if A < 7.5 * DAY else 3] if P == len(MED) else c['k_hist']
                RR = np.minimum.accumulate(Y[::-1])[::-1][-48 * (P + 1):]
                if P < 3 and (RR[2:] - RR[:-2]).max() > .6 * tot: kap = 0.         # one step is not growth
                lr, mo = 99., ''
                if P > 1 and P == len(MED):
                    cs = np.cumsum(np.r_[0., Y]); M = ((cs[q:] - cs[:-q]) / q)[-(P * q + 1):]; lr, _, mo = rivals(M, wd, max(A - P * DAY, DAY), lim, False)
                    lr = 99. if lr > c['nats_day'] else lr
                a = act(dict(G=tot, A=P * DAY, b=b / DAY, lr=lr, model=mo), kap, 'same hour of %d days' % (P + 1))
                if a: return a
            # 4 today minus yesterday (late onset under a daily cycle)
            dd = (R[-1] - R[-2]); prev = np.abs(R[-2] - R[-3]).max() if nd >= 3 else None
            if prev is not None:
                for m in (24, 32, 48):
                    zz = dd[-m:]; dwin = self.window(zz, wd, lim, base, 0., False)
                    if dwin and dwin['ok'] and zz[-4:].min() > 1.5 * prev:
                        a = act(dwin, c['k_hist'], 'above yesterday')
                        if a and not young: return a
        return ('Suspect', 'grows, not proven') if sus else out

    def masked(self, t, v, st, lim, now):
        """Runs between restarts: every run rises to its end, every restart gives it back."""
        c = self.c; ed = np.r_[st, now]; G, T, gaps, crest = [], [], [], []
        for a, b in zip(ed[:-1][-12:], ed[1:][-12:]):
            i, j = np.searchsorted(t, [a, b]); A = b - a
            if A < .5 * H or j - i < 12: continue
            x = v[i:j]; s = t[i:j]; k = s >= a + max(300., .15 * A); x, s = x[k], s[k]
            if len(x) < 9: continue
            u = (s - s[0]) / max(s[-1] - s[0], 1); q = [np.percentile(x[(u >= e) & (u <= e + .2)], 20) if ((u >= e) & (u <= e + .2)).any() else np.nan for e in (0, .2, .4, .6, .8)]
            R = np.minimum.accumulate(np.array(q)[::-1])[::-1]; g = np.diff(R); m = g.mean()
            ok = m > 0 and (g > .2 * m).sum() >= 3 and g[2:].mean() >= .6 * m and g.sum() > max(c['mat'] * q[0], c['mat_abs'] / 2, .01 * lim)
            G.append(ok); T.append(A); gaps.append(m * 4 / (s[-1] - s[0]) / .8 if ok else 0); crest.append(np.percentile(x, 98))
        n = len(G)
        if n < 4: return None
        share = np.mean(G); b = np.median(gaps)
        if share >= .85 and n >= 4 and b > 0:
            rise = b * np.median(T); eta = max(c['goal'] * lim - np.median(crest), 0) / b
            seen = np.sum(T)
            if n >= 5 and eta <= c['k_masked'] * seen: return 'Leaking', 'masked: %d of %d runs between restarts rise to their end, now' % (sum(G), n)
            return 'Suspect', 'masked?'
        return None
