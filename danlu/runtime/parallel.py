"""L4. The native code of the thread pool, as LLVM IR: `parallel` (the caller), `worker` (each thread), `stop`, `spin`.

A region is one call `parallel(pool, kernel, args, chunks)`. Its state is one 64-bit word, the ticket: the number of the
region above, the chunks that nobody has claimed yet below. Caller and workers claim by compare-and-swap:

    ticket (7, 5)  →  claim 2 of chunks=16: run kernel(args, 11, 13)  →  ticket (7, 3)

- A claim that succeeds proves that region 7 was still open when `kernel`, `args` and `chunks` were read: the caller writes
  them for region 8 only after all of region 7 is done. So a worker that slept in between can never mix two regions.
- With no chunk left the ticket cannot be claimed, whatever the other words say.
- The caller waits only for chunks that a worker has claimed (`done`), never for a worker to begin.
- A sleeping worker is counted in `sleepers` *before* it looks at the ticket for the last time, and the caller looks at
  `sleepers` *after* it has written the ticket (both seq_cst): one of the two sees the other.
- Who takes a sleeper off the count owes it one token of the semaphore.
"""

from __future__ import annotations

# Byte offsets in the control block. Words that different threads write are 128 bytes apart (a cache line, or Apple's).
PARALLEL, GRAIN_SHIFT, SPINS, WORKERS = 0, 8, 16, 24
TICKET, KERNEL, ARGS, CHUNKS, MODE = 128, 136, 144, 152, 160
DONE, BUSY, CORE, SLEEPERS, STOPPED, SEMAPHORE = 256, 384, 392, 512, 520, 640
THREADS = 768  # the operating system's numbers of the workers, 4 bytes each, to the end of the block


def _words(**offsets: int) -> str:
    """IR that names the addresses of words of the control block %pool."""
    return "\n".join(f"  %{name} = getelementptr i8, ptr %pool, i64 {offset}" for name, offset in offsets.items())


_WORK = f"""
; Claims and runs chunks until none is left; how many were run. Claims shrink with what is left: 1/(4 threads) of it.
define internal i64 @work(ptr %pool, i64 %start_mode) nounwind {{
entry:
{_words(ticket=TICKET, kernel_at=KERNEL, args_at=ARGS, chunks_at=CHUNKS, mode_at=MODE, shift_at=GRAIN_SHIFT)}
  %shift = load i64, ptr %shift_at
  br label %look
look:
  %count = phi i64 [0, %entry], [%count, %claim], [%counted, %run]
  %mode = phi i64 [%start_mode, %entry], [%mode, %claim], [%wanted, %run]
  %seen = load atomic i64, ptr %ticket acquire, align 8
  %left = and i64 %seen, 4294967295
  %none = icmp eq i64 %left, 0
  br i1 %none, label %done, label %claim
claim:
  %kernel = load atomic ptr, ptr %kernel_at monotonic, align 8
  %args = load atomic ptr, ptr %args_at monotonic, align 8
  %chunks = load atomic i64, ptr %chunks_at monotonic, align 8
  %wanted = load atomic i64, ptr %mode_at monotonic, align 8
  %share = lshr i64 %left, %shift
  %small = icmp eq i64 %share, 0
  %grain = select i1 %small, i64 1, i64 %share
  %after = sub i64 %seen, %grain
  %pair = cmpxchg ptr %ticket, i64 %seen, i64 %after acq_rel monotonic
  %mine = extractvalue {{i64, i1}} %pair, 1
  br i1 %mine, label %prepare, label %look
prepare:
  %same = icmp eq i64 %mode, %wanted
  br i1 %same, label %run, label %set
set:
  call void @set_float_mode(i64 %wanted)
  br label %run
run:
  %begin = sub i64 %chunks, %left
  %end = add i64 %begin, %grain
  call void %kernel(ptr %args, i64 %begin, i64 %end)
  %counted = add i64 %count, %grain
  br label %look
done:
  ret i64 %count
}}
"""

_WAKE = f"""
; Wakes at most %most sleeping workers.
define internal void @wake(ptr %pool, i64 %most) noinline nounwind {{
entry:
{_words(sleepers=SLEEPERS, semaphore=SEMAPHORE)}
  br label %look
look:
  %asleep = load atomic i64, ptr %sleepers seq_cst, align 8
  %none = icmp eq i64 %asleep, 0
  br i1 %none, label %done, label %take
take:
  %few = icmp ult i64 %asleep, %most
  %count = select i1 %few, i64 %asleep, i64 %most
  %rest = sub i64 %asleep, %count
  %pair = cmpxchg ptr %sleepers, i64 %asleep, i64 %rest seq_cst seq_cst
  %taken = extractvalue {{i64, i1}} %pair, 1
  br i1 %taken, label %post, label %look
post:
  %tokens = trunc i64 %count to i32
  call void @semaphore_post(ptr %semaphore, i32 %tokens)
  br label %done
done:
  ret void
}}
"""

_PARALLEL = f"""
; Runs kernel(args, begin, end) over all chunks. In the caller alone where there is one chunk or the pool is in use.
define void @parallel(ptr %pool, ptr %kernel, ptr %args, i64 %chunks) nounwind {{
entry:
{_words(ticket=TICKET, kernel_at=KERNEL, args_at=ARGS, chunks_at=CHUNKS, mode_at=MODE)}
{_words(done_at=DONE, busy=BUSY, sleepers=SLEEPERS, core=CORE, threads=THREADS, workers_at=WORKERS)}
  %others = sub i64 %chunks, 1
  %shared = icmp ult i64 %others, 2147483647
  %several = icmp ne i64 %others, 0
  %worth = and i1 %shared, %several
  br i1 %worth, label %try, label %few
few:
  %empty = icmp slt i64 %chunks, 1
  br i1 %empty, label %return, label %alone
alone:
  call void %kernel(ptr %args, i64 0, i64 %chunks)
  br label %return
try:
  %pair = cmpxchg ptr %busy, i64 0, i64 1 acquire monotonic
  %free = extractvalue {{i64, i1}} %pair, 1
  br i1 %free, label %publish, label %alone
publish:
  %workers = load i64, ptr %workers_at
  call void @spread(ptr %threads, i64 %workers, ptr %core)
  store atomic i64 0, ptr %done_at monotonic, align 8
  store atomic ptr %kernel, ptr %kernel_at monotonic, align 8
  store atomic ptr %args, ptr %args_at monotonic, align 8
  store atomic i64 %chunks, ptr %chunks_at monotonic, align 8
  %mode = call i64 @float_mode()
  store atomic i64 %mode, ptr %mode_at monotonic, align 8
  %last = load atomic i64, ptr %ticket monotonic, align 8
  %number = add i64 %last, 4294967296  ; the last region left no chunk below
  %open = or i64 %number, %chunks
  store atomic i64 %open, ptr %ticket seq_cst, align 8
  %asleep = load atomic i64, ptr %sleepers seq_cst, align 8
  %awake = icmp eq i64 %asleep, 0
  br i1 %awake, label %join, label %rouse
rouse:
  call void @wake(ptr %pool, i64 %others)
  br label %join
join:
  %mine = call i64 @work(ptr %pool, i64 %mode)
  %theirs = sub i64 %chunks, %mine
  br label %wait
wait:
  %turn = phi i64 [0, %join], [%next, %spin], [%next, %yield]
  %done = load atomic i64, ptr %done_at acquire, align 8
  %all = icmp eq i64 %done, %theirs
  br i1 %all, label %leave, label %rest
rest:
  %next = add i64 %turn, 1
  %long = icmp ugt i64 %turn, 1000
  br i1 %long, label %yield, label %spin
spin:
  call void @pause()
  br label %wait
yield:
  call void @yield_processor()
  br label %wait
leave:
  store atomic i64 0, ptr %busy release, align 8
  br label %return
return:
  ret void
}}
"""

_WORKER = f"""
; A worker's life: run what can be claimed, spin for a while, sleep. It returns when the pool is stopped.
define void @worker(ptr %pool) nounwind {{
entry:
{_words(ticket=TICKET, done_at=DONE, sleepers=SLEEPERS, stopped=STOPPED, semaphore=SEMAPHORE, spins_at=SPINS)}
  br label %active
active:
  %mode = call i64 @float_mode()
  %count = call i64 @work(ptr %pool, i64 %mode)
  %idle = icmp eq i64 %count, 0
  br i1 %idle, label %watch, label %report
report:
  %ignored = atomicrmw add ptr %done_at, i64 %count release
  br label %watch
watch:
  %spins = load i64, ptr %spins_at
  br label %spin
spin:
  %turn = phi i64 [0, %watch], [%next, %again], [%next, %polite]
  %seen = load atomic i64, ptr %ticket acquire, align 8
  %left = and i64 %seen, 4294967295
  %none = icmp eq i64 %left, 0
  br i1 %none, label %pausing, label %active
pausing:
  call void @pause()
  %next = add i64 %turn, 1
  %tired = icmp ugt i64 %next, %spins
  br i1 %tired, label %register, label %again
again:
  %some = and i64 %next, 63
  %often = icmp eq i64 %some, 0
  br i1 %often, label %polite, label %spin
polite:
  call void @yield_processor()  ; the caller may be waiting for this very core
  br label %spin
register:
  %before = atomicrmw add ptr %sleepers, i64 1 seq_cst
  %last = load atomic i64, ptr %ticket seq_cst, align 8
  %rest = and i64 %last, 4294967295
  %nothing = icmp eq i64 %rest, 0
  %stop = load atomic i64, ptr %stopped seq_cst, align 8
  %going = icmp eq i64 %stop, 0
  %asleep = and i1 %nothing, %going
  br i1 %asleep, label %sleep, label %withdraw
withdraw:
  %now = load atomic i64, ptr %sleepers seq_cst, align 8
  %owed = icmp eq i64 %now, 0
  br i1 %owed, label %sleep, label %leave
leave:
  %fewer = sub i64 %now, 1
  %pair = cmpxchg ptr %sleepers, i64 %now, i64 %fewer seq_cst seq_cst
  %left_off = extractvalue {{i64, i1}} %pair, 1
  br i1 %left_off, label %woken, label %withdraw
sleep:
  call void @semaphore_wait(ptr %semaphore)
  br label %woken
woken:
  %end = load atomic i64, ptr %stopped acquire, align 8
  %alive = icmp eq i64 %end, 0
  br i1 %alive, label %active, label %done
done:
  ret void
}}

; Tells all workers to return. Regions go on without them.
define void @stop(ptr %pool) nounwind {{
{_words(stopped=STOPPED)}
  store atomic i64 1, ptr %stopped seq_cst, align 8
  call void @wake(ptr %pool, i64 4294967295)
  ret void
}}

; %turns of the worker's waiting loop, to be timed: a pause takes 10 to 150 cycles, as the processor likes.
define void @spin(ptr %pool, i64 %turns) nounwind {{
entry:
{_words(ticket=TICKET)}
  br label %look
look:
  %turn = phi i64 [0, %entry], [%next, %look]
  %seen = load atomic i64, ptr %ticket acquire, align 8
  call void @pause()
  %next = add i64 %turn, 1
  %more = icmp ult i64 %next, %turns
  br i1 %more, label %look, label %done
done:
  ret void
}}
"""

TEXT = _WORK + _WAKE + _PARALLEL + _WORKER
