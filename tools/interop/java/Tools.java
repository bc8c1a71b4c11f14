import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs many of Kafka's command line tools in one Java machine.
 *
 * A line of JSON on standard input names a class with a main method, its arguments, its standard input and its time limit; a line on
 * standard output gives its exit status and what it printed. Exits are caught, and what a tool prints after its exit is dropped: a
 * process would not have got there.
 */
public final class Tools {
    private static final ObjectMapper JSON = new ObjectMapper();
    /** Streams are set once and for all, because Scala's console keeps those that it finds first. */
    private static final Capture OUT = new Capture();
    private static final Capture ERR = new Capture();
    /** The threads of the tool that runs now; a tool of before that was late neither prints nor exits any more. */
    private static volatile ThreadGroup current;
    private static volatile Integer exited;
    /** What the tool wants to have done at its end. */
    private static final List<Runnable> HOOKS = Collections.synchronizedList(new ArrayList<>());

    /** Unwinds the stack of a tool that wants to exit. */
    private static final class Exited extends Error {
        Exited() {
            super("exit", null, false, false);
        }
    }

    /** Collects what is printed until the tool exits. */
    private static final class Capture extends OutputStream {
        private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        private boolean open;

        @Override
        public synchronized void write(int value) {
            if (open && isCurrent()) {
                bytes.write(value);
            }
        }

        @Override
        public synchronized void write(byte[] from, int offset, int length) {
            if (open && isCurrent()) {
                bytes.write(from, offset, length);
            }
        }

        synchronized void begin() {
            bytes.reset();
            open = true;
        }

        synchronized void resume() {
            open = true;
        }

        synchronized void end() {
            open = false;
        }

        synchronized String text() {
            return bytes.toString(StandardCharsets.UTF_8);
        }
    }

    public static void main(String[] arguments) throws Exception {
        PrintStream answers = System.out;
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        System.setOut(new PrintStream(OUT, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(ERR, true, StandardCharsets.UTF_8));
        Exit.setExitProcedure((status, message) -> exit(status));
        Exit.setHaltProcedure((status, message) -> exit(status));
        Exit.setShutdownHookAdder((name, hook) -> HOOKS.add(hook));
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            answers.println(JSON.writeValueAsString(run(JSON.readTree(line))));
            answers.flush();
        }
        Runtime.getRuntime().halt(0);
    }

    private static boolean isCurrent() {
        return Thread.currentThread().getThreadGroup() == current;
    }

    private static void exit(int status) {
        synchronized (Tools.class) {
            if (exited == null && isCurrent()) {
                exited = status;
                OUT.end();
                ERR.end();
            }
        }
        throw new Exited();
    }

    private static ObjectNode run(JsonNode request) throws InterruptedException {
        System.setIn(new ByteArrayInputStream(request.get("input").asText().getBytes(StandardCharsets.UTF_8)));
        List<String> arguments = new ArrayList<>();
        request.get("arguments").forEach(word -> arguments.add(word.asText()));
        exited = null;
        HOOKS.clear();
        OUT.begin();
        ERR.begin();
        long begun = System.nanoTime();
        String name = request.get("class").asText();
        current = new ThreadGroup("tool");
        Thread thread = new Thread(current, () -> call(name, arguments.toArray(new String[0])), "tool");
        thread.setDaemon(true);
        thread.start();
        thread.join(request.get("seconds").asInt() * 1000L);
        boolean late = thread.isAlive();
        OUT.end();
        ERR.end();
        ObjectNode answer = JSON.createObjectNode();
        answer.put("status", late ? -1 : exited == null ? 0 : exited);
        answer.put("out", OUT.text());
        answer.put("err", ERR.text());
        answer.put("seconds", (System.nanoTime() - begun) / 1e9);
        if (late) {
            thread.interrupt();
        }
        return answer;
    }

    /** The hooks that a tool gave to the machine itself; it is opened to us for that (--add-opens java.base/java.lang). */
    private static List<Thread> ownHooks() {
        try {
            Field hooks = Class.forName("java.lang.ApplicationShutdownHooks").getDeclaredField("hooks");
            hooks.setAccessible(true);
            List<Thread> found = new ArrayList<>();
            for (Object hook : ((Map<?, ?>) hooks.get(null)).keySet()) {
                Thread thread = (Thread) hook;
                if (thread.getThreadGroup() == current) {
                    found.add(thread);
                }
            }
            return found;
        } catch (ReflectiveOperationException error) {
            throw new IllegalStateException(error);
        }
    }

    private static void call(String name, String[] arguments) {
        try {
            Class.forName(name).getMethod("main", String[].class).invoke(null, (Object) arguments);
        } catch (InvocationTargetException thrown) {
            if (!(thrown.getCause() instanceof Exited)) {
                System.err.print("Exception in thread \"main\" ");
                thrown.getCause().printStackTrace();
                exited = exited == null ? 1 : exited;
            }
        } catch (ReflectiveOperationException error) {
            throw new IllegalStateException(error);
        }
        OUT.resume();
        ERR.resume();
        List.copyOf(HOOKS).forEach(Runnable::run);
        for (Thread hook : ownHooks()) {
            Runtime.getRuntime().removeShutdownHook(hook);
            hook.run();
        }
    }
}
